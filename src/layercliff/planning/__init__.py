"""What a run will take, said before any weight is loaded."""
