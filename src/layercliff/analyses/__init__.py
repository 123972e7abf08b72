"""Analyses of one model on one task, a folder each: `run`, `result`, `figures`."""
