"""Every depth read through other lenses."""
