"""Option scores at every depth, and where the decision forms."""
