"""``python -m layercliff`` is the command ``layercliff``."""

from layercliff.cli.entry import main

main()
