"""What is done to the stream of a batch on its way: noise, blocks taken out, states exchanged."""
