"""Recommenders from one-class feedback: two-headed AutoRec models, exact and fast, with honest evaluation.

>>> import fastautorec as far
>>> packages = far.datasets.load_example()
>>> model = far.NCEAutoRec(factors=64).fit(packages)
>>> ids, scores = model.recommend(packages.user_items[:5], N=3)
"""

from fastautorec import baselines, datasets, evaluation, ops, plots, reference
from fastautorec._version import __version__
from fastautorec.data import Interactions, align, read_ratings, split, split_users
from fastautorec.evaluation import compare, evaluate, evaluate_ranking
from fastautorec.exceptions import (
    BackendUnavailableError,
    DivergedError,
    InteractionsFileError,
    ModelFileError,
    NotFittedError,
    RatingsFileError,
)
from fastautorec.io import load
from fastautorec.models import (
    EASE,
    AutoRec,
    NCEAutoRec,
    NCEAutoRecCV,
    NCEPLRec,
    NSAutoRec,
    OHNSAutoRec,
    Popularity,
    PureSVD,
)
from fastautorec.models._table import RecommendationTable
from fastautorec.tuning._result import TuningResult
from fastautorec.tuning._tune import tune

__all__ = [
    "EASE",
    "AutoRec",
    "BackendUnavailableError",
    "DivergedError",
    "Interactions",
    "InteractionsFileError",
    "ModelFileError",
    "NCEAutoRec",
    "NCEAutoRecCV",
    "NCEPLRec",
    "NSAutoRec",
    "NotFittedError",
    "OHNSAutoRec",
    "Popularity",
    "PureSVD",
    "RatingsFileError",
    "RecommendationTable",
    "TuningResult",
    "__version__",
    "align",
    "baselines",
    "compare",
    "datasets",
    "evaluate",
    "evaluate_ranking",
    "evaluation",
    "load",
    "ops",
    "plots",
    "read_ratings",
    "reference",
    "split",
    "split_users",
    "tune",
]
