"""How the bundled demo model was made: data and curriculum, training, evaluation.

The app never imports this package.
"""
