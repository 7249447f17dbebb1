"""The parts of benchmarks/universal.py."""
