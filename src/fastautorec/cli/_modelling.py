"""Models as the command line names them."""

from __future__ import annotations

import argparse

from fastautorec.baselines import WRMF
from fastautorec.cli._streams import say
from fastautorec.data import Interactions
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
    Recommender,
    RP3beta,
)
from fastautorec.tuning._space import check_parameters

MODELS: dict[str, type[Recommender]] = {
    "nce-autorec-cv": NCEAutoRecCV,
    "nce-autorec": NCEAutoRec,
    "ns-autorec": NSAutoRec,
    "ohns-autorec": OHNSAutoRec,
    "autorec": AutoRec,
    "ease": EASE,
    "dlae": DLAE,
    "dlae-cv": DLAECV,
    "nce-plrec": NCEPLRec,
    "pure-svd": PureSVD,
    "rp3beta": RP3beta,
    "item-knn": ItemKNN,
    "popularity": Popularity,
    "wrmf": WRMF,
}


def make_model(args: argparse.Namespace) -> Recommender:
    """Return the model that was asked for, its parameters checked before a large file is read."""
    try:
        model = MODELS[args.model]().set_params(**dict(args.set))
        check_parameters(model)
        model._backend()
    except TypeError as error:  # a value like dropout=high
        raise ValueError(str(error)) from error
    return model


def has_choice(model: Recommender) -> bool:
    """Return whether there are several values of ``regularization`` to choose from, by data that are held out here."""
    return not isinstance(model, NCEAutoRecCV) and isinstance(model.get_params().get("regularization"), (tuple, list))


def choose(model: Recommender, train: Interactions, validation: Interactions) -> None:
    """Set the regularization to the one of several that does best on validation data."""
    chosen = getattr(model.fit(train, validation=validation), "regularization_", None)
    if chosen is None:
        raise ValueError(f"{type(model).__name__} takes one `regularization`, got several")
    say(f"regularization {chosen:g} is best on validation data")
    model.set_params(regularization=chosen)
