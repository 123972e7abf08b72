"""What layercliff does, one module per verb; the command line is a thin layer over these."""
