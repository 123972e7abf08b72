"""Sets of blocks removed from each phase, for the claims that compare phases."""
