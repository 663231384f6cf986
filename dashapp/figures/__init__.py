"""Results become Plotly figures. Knows colours and axes; knows nothing of Dash, files or models."""
