"""The paper's claims as tests: each a pure function of what was measured, with its rule and its error rate."""
