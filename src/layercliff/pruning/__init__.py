"""Blocks removed one after another: criteria, the path, what is left of the model."""
