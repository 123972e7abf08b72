"""A trace beside controls that have nothing to decide."""
