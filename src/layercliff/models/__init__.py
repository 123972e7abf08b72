"""Language models: lookup, loading, parts and surgery."""
