"""Recovery: steps of a path before and after fine-tuning."""
