"""Several criteria on the same questions."""
