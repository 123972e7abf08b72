"""Studies: many models on many tasks, and what they say together."""
