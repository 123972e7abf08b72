"""Interventions on the residual stream: noise, blocks skipped, states exchanged, gates."""
