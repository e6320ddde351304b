"""Recommenders: a model says what is optimised, `_training` in which order, and a backend how."""

from fastautorec.models._recommender import Recommender
from fastautorec.models.autorec import AutoRec
from fastautorec.models.dlae import DLAE
from fastautorec.models.dlae_cv import DLAECV
from fastautorec.models.ease import EASE
from fastautorec.models.linear import NCEPLRec, Popularity, PureSVD
from fastautorec.models.nce import NCEAutoRec
from fastautorec.models.nce_cv import NCEAutoRecCV
from fastautorec.models.neighbours import ItemKNN, RP3beta
from fastautorec.models.ns import NSAutoRec, OHNSAutoRec

__all__ = [
    "DLAE",
    "DLAECV",
    "EASE",
    "AutoRec",
    "ItemKNN",
    "NCEAutoRec",
    "NCEAutoRecCV",
    "NCEPLRec",
    "NSAutoRec",
    "OHNSAutoRec",
    "Popularity",
    "PureSVD",
    "RP3beta",
    "Recommender",
]
