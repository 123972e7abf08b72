"""Quantities computed from option scores: pure functions of arrays."""
