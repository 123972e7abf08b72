"""A step of a path as a checkpoint that is proven to reload, or as recipes for other tools."""
