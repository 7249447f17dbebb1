"""Experiments on a model: each runs a plan into a Table."""
