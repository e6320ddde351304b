"""Recommenders: what is optimised. How is the backends' business, when is the training loop's."""

from fastautorec.models._base import Recommender
from fastautorec.models.ease import EASE
from fastautorec.models.linear import NCEPLRec, Popularity, PureSVD
from fastautorec.models.nce import NCEAutoRec

__all__ = ["EASE", "NCEAutoRec", "NCEPLRec", "Popularity", "PureSVD", "Recommender"]
