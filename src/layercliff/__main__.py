"""``python -m layercliff`` is the command ``layercliff``."""

from layercliff.cli import main

main()
