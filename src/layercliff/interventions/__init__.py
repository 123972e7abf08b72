"""Interventions on the residual stream: noise, blocks taken out, states exchanged."""
