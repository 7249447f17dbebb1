"""Toto 2.0 (Khwaja et al. 2026, arXiv 2605.20119): our own network, with true gradients."""
