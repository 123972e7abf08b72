"""Similarity of dense and pruned models, depth by depth."""
