"""Training pruned models: what they are trained on, how, and the trained weights on disk."""
