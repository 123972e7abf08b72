"""States exchanged between dense and pruned models."""
