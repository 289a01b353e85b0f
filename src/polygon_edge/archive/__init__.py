"""Blocks outside a node. Checkable on a machine that has no database."""
