"""Whole scans labelled by both teachers, prompted by a trained nnU-Net model."""
