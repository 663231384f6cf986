"""What runs the model again to learn something: comparisons, and later patching and ablation. Needs torch."""
