"""Models as the command line names them."""

from __future__ import annotations

import argparse

from fastautorec import models
from fastautorec.baselines import WRMF
from fastautorec.cli._streams import say
from fastautorec.data import Interactions
from fastautorec.models import NCEAutoRecCV, Recommender
from fastautorec.tuning._space import check_parameters

MODELS: dict[str, type[Recommender]] = {
    "nce-autorec-cv": models.NCEAutoRecCV,
    "nce-autorec": models.NCEAutoRec,
    "ns-autorec": models.NSAutoRec,
    "ohns-autorec": models.OHNSAutoRec,
    "autorec": models.AutoRec,
    "ease": models.EASE,
    "dlae": models.DLAE,
    "dlae-cv": models.DLAECV,
    "nce-plrec": models.NCEPLRec,
    "pure-svd": models.PureSVD,
    "rp3beta": models.RP3beta,
    "item-knn": models.ItemKNN,
    "popularity": models.Popularity,
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
