"""What a trace says: measures of one trace, in NumPy. Knows nothing of files, running models or colours."""
