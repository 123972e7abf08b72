"""The collapse point, forecast from the dense model alone."""
