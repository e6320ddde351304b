"""Recommenders from one-class feedback: two-headed AutoRec models, exact and fast, with honest evaluation.

>>> import fastautorec as far
>>> packages = far.datasets.load_example()
>>> model = far.NCEAutoRec(factors=64).fit(packages)
>>> ids, scores = model.recommend(packages.user_items[:5], N=3)
"""

import logging as _logging
from importlib import import_module as _import_module
from typing import TYPE_CHECKING
from typing import Any as _Any

from fastautorec._version import __version__
from fastautorec.exceptions import (
    BackendUnavailableError,
    DivergedError,
    InteractionsFileError,
    ModelFileError,
    NotFittedError,
    RatingsFileError,
)

if TYPE_CHECKING:
    from fastautorec import (
        baselines,
        datasets,
        distributed,
        evaluation,
        model_selection,
        ops,
        plots,
        reference,
        rerank,
    )
    from fastautorec.data import Interactions, align, read_ratings, rolling, split, split_users
    from fastautorec.evaluation import compare, evaluate, evaluate_ranking
    from fastautorec.io import load
    from fastautorec.models import (
        DLAE,
        DLAECV,
        EASE,
        AutoRec,
        ItemKNN,
        NCEAutoRec,
        NCEAutoRecCV,
        NCEPLRec,
        NSAutoRec,
        OHNSAutoRec,
        Popularity,
        PureSVD,
        RP3beta,
    )
    from fastautorec.models._ranker import Ranker
    from fastautorec.models._table import RecommendationTable, SimilarityTable
    from fastautorec.models._vectors import ItemVectors
    from fastautorec.tuning._cross_validate import CrossValidation, cross_validate
    from fastautorec.tuning._result import TuningResult
    from fastautorec.tuning._select import select
    from fastautorec.tuning._selection import Selection
    from fastautorec.tuning._tune import tune
else:

    def __getattr__(name: str) -> _Any:
        """Import what is asked for at its first use, so that ``import fastautorec`` takes hardly any time."""
        if name in _ROOMS:
            return _import_module(f"{__name__}.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(_import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_ROOMS, *_HOMES})


_logging.getLogger("fastautorec").addHandler(_logging.NullHandler())  # what is logged is shown by who asks for it

__all__ = [
    "DLAE",
    "DLAECV",
    "EASE",
    "AutoRec",
    "BackendUnavailableError",
    "CrossValidation",
    "DivergedError",
    "Interactions",
    "InteractionsFileError",
    "ItemKNN",
    "ItemVectors",
    "ModelFileError",
    "NCEAutoRec",
    "NCEAutoRecCV",
    "NCEPLRec",
    "NSAutoRec",
    "NotFittedError",
    "OHNSAutoRec",
    "Popularity",
    "PureSVD",
    "RP3beta",
    "Ranker",
    "RatingsFileError",
    "RecommendationTable",
    "Selection",
    "SimilarityTable",
    "TuningResult",
    "__version__",
    "align",
    "baselines",
    "compare",
    "cross_validate",
    "datasets",
    "distributed",
    "evaluate",
    "evaluate_ranking",
    "evaluation",
    "load",
    "model_selection",
    "ops",
    "plots",
    "read_ratings",
    "reference",
    "rerank",
    "rolling",
    "select",
    "split",
    "split_users",
    "tune",
]

_ROOMS = (
    *("baselines", "data", "datasets", "distributed", "evaluation", "io", "model_selection", "models", "ops"),
    *("plots", "reference", "rerank", "tuning"),
)
_NAMES = {
    "data": ("Interactions", "align", "read_ratings", "rolling", "split", "split_users"),
    "evaluation": ("compare", "evaluate", "evaluate_ranking"),
    "io": ("load",),
    "models": (
        *("DLAE", "DLAECV", "EASE", "AutoRec", "ItemKNN", "NCEAutoRec", "NCEAutoRecCV", "NCEPLRec", "NSAutoRec"),
        *("OHNSAutoRec", "Popularity", "PureSVD", "RP3beta"),
    ),
    "models._ranker": ("Ranker",),
    "models._table": ("RecommendationTable", "SimilarityTable"),
    "models._vectors": ("ItemVectors",),
    "tuning": ("CrossValidation", "Selection", "TuningResult", "cross_validate", "select", "tune"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}
