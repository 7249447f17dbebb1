"""Standard benchmarks, by the protocols that their authors publish."""
