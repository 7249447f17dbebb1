"""Toto 1.0 (Cohen et al. 2025, arXiv 2505.14766): an implementation of our own."""
