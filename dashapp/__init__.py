"""Look inside GPT-2."""
