"""Owns the names of the generations; what they mean stands in `rules`."""

from enum import Enum


class Generation(Enum):
    """The three readings of blocks and genesis files (§0); no genesis file asks for G2, the operator has to."""

    G1 = "G1"
    G2 = "G2"
    G3 = "G3"
