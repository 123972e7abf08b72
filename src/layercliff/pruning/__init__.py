"""Which blocks can go: candidates scored together, removed one by one, and what is left measured."""
