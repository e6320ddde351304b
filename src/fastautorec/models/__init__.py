"""Recommenders, which say what is optimised; `_training` says in which order, and backends how."""

from fastautorec.models._recommender import Recommender
from fastautorec.models.autorec import AutoRec
from fastautorec.models.ease import EASE
from fastautorec.models.linear import NCEPLRec, Popularity, PureSVD
from fastautorec.models.nce import NCEAutoRec
from fastautorec.models.nce_cv import NCEAutoRecCV
from fastautorec.models.ns import NSAutoRec, OHNSAutoRec

__all__ = [
    "EASE",
    "AutoRec",
    "NCEAutoRec",
    "NCEAutoRecCV",
    "NCEPLRec",
    "NSAutoRec",
    "OHNSAutoRec",
    "Popularity",
    "PureSVD",
    "Recommender",
]
