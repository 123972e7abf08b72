"""Noise on the residual stream at every depth."""
