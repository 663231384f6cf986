"""Figures with knobs, and where they get their traces. Knows components; knows nothing of jobs or pages."""
