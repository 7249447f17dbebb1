"""Changing and watching a running network: the only place with hooks."""
