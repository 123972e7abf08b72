"""Results as files: what each verb leaves in a run directory, and how it is read back."""
