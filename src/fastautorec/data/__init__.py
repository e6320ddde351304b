"""Interaction data: the matrix with its ids and times, rating files, and splits."""

from fastautorec.data._align import align
from fastautorec.data._api import read_ratings, split, split_users
from fastautorec.data._interactions import Interactions

__all__ = ["Interactions", "align", "read_ratings", "split", "split_users"]
