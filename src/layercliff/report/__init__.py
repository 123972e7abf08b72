"""Pictures, page and words, from stored results only: nothing here loads a model."""
