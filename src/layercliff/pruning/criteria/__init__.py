"""One file per criterion; every file here is found and registered (`layercliff.pruning.criterion`)."""
