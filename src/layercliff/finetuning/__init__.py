"""Fine-tuning of pruned models: examples, training, trained weights on disk."""
