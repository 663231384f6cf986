"""Work that runs the model, and what it needs around it. Importing this package imports no torch."""
