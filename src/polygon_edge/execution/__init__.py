"""Blocks into state: preparing runs ahead, importing them in order."""
