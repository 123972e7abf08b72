"""The paper's claims as tests: a file each, one rule for all."""
