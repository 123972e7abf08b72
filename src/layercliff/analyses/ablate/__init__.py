"""Blocks and adjacent pairs taken out."""
