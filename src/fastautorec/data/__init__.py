"""Interaction data: the matrix with its ids and times, rating files, and splits."""

from fastautorec.data._align import align
from fastautorec.data._api import read_ratings
from fastautorec.data._interactions import Interactions
from fastautorec.data._splitting import rolling, split, split_users

__all__ = ["Interactions", "align", "read_ratings", "rolling", "split", "split_users"]
