"""Option scores at every depth of a model."""
