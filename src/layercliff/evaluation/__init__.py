"""Benchmarks, as lm-evaluation-harness asks them."""
