"""A run: what it is about, its directory, its journal, and what is done in it."""
