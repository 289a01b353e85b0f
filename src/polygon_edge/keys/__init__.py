"""The secrets of a node: where they lie, and who it is by them."""
