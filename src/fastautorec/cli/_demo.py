"""The command ``fastautorec demo``: models compared on the embedded data, readable recommendations, and a picture."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec.cli._trial import Trial, difference_lines, run_trial, trial_lines
from fastautorec.data import Interactions, split
from fastautorec.datasets import load_example
from fastautorec.models import EASE, NCEAutoRec, NCEAutoRecCV, NCEPLRec, Popularity, PureSVD, Recommender
from fastautorec.plots._demo import popularity_figure

RATIOS = (0.5, 0.2, 0.3)  # train, validation, test
CUTOFFS = (10, 50)
LENGTH = 8  # items of a list that is printed
WIDTH = 100  # letters of a line
PICTURE = "popularity.png"

PACKAGES = ("python3-sklearn", "gimp", "postgresql-15", "libreoffice-writer", "blender")
NEW_PACKAGE = ("python3-numpy", "python3-matplotlib")
NAMES = ("python3-django", "libgtk-3-0", "r-base-core", "libsdl2-2.0-0", "postgresql-client")

Say = Callable[[str], None]


def contestants() -> dict[str, Recommender]:
    """Return the models of the comparison.

    The first one chooses its parameters itself; the tuned one had the best NDCG on validation data, of the settings
    that benchmarks/accuracy.py compares.
    """
    return {
        "NCE-AutoRec": NCEAutoRecCV(),
        "NCE-AutoRec, defaults": NCEAutoRec(),
        "EASE, tuned": EASE(regularization=20),
        "NCE-PLRec": NCEPLRec(),
        "PureSVD": PureSVD(),
        "Popularity": Popularity(),
    }


def run(
    output: Path, *, say: Say, data: Interactions | None = None, models: dict[str, Recommender] | None = None
) -> None:
    """Print the comparison and the recommendations, and save the picture in the folder ``output``.

    Parameters
    ----------
    output : path
        A folder; made if it does not exist.
    say : callable
        Takes the lines about progress.
    data : Interactions, optional
        The embedded data by default.
    models : dict of str to Recommender, optional
        ``contestants()`` by default. The first one recommends.
    """
    output.mkdir(parents=True, exist_ok=True)
    data = load_example() if data is None else data
    models = contestants() if models is None else models
    # Fitting uses train and validation data together: nothing is left to choose.
    train, test = split(data, (RATIOS[0] + RATIOS[1], RATIOS[2]), by="random", random_state=0)
    _print_introduction(data, train, test, models)
    sys.stdout.flush()  # a pipe would hold it back
    trials = []
    for name, model in models.items():
        if isinstance(model, NCEAutoRecCV):
            say(f"{name}: tries some thirty solutions, which takes some seconds")
        if isinstance(model, EASE):
            n = data.shape[1]
            say(f"{name}: inverts a {n:,} x {n:,} matrix, which takes some seconds")
        trials.append(run_trial(name, model, train, test, k=CUTOFFS, keep_lists=True, say=say))
    _print_comparison(trials)
    sys.stdout.flush()

    model = trials[0].model
    _print_recommendations(model, train, test)
    _print_new_user(model, train)
    _print_similar(model, train)
    _save_picture(trials, train, test, output / PICTURE, say)


# --- the comparison --------------------------------------------------------------------------------------------------


def _print_introduction(
    data: Interactions, train: Interactions, test: Interactions, models: dict[str, Recommender]
) -> None:
    m, n = data.shape
    print(f"Debian packages and what they depend on: {m:,} packages x {n:,} dependencies, {data.nnz:,} pairs.")
    print(f"Of each package's dependencies 70 % are for fitting ({train.nnz:,}), 30 % are hidden ({test.nnz:,}).")
    tuned = [f"  {name}: {model!r}" for name, model in models.items() if "tuned" in name]
    if tuned:
        print(
            "NCE-AutoRec chooses its parameters on a part of what it is fitted on. Tuned on such a part before:",
            *tuned,
            sep="\n",
        )


def _print_comparison(trials: Sequence[Trial]) -> None:
    print("", *trial_lines(trials), sep="\n")
    print("± is half of a 95 % interval. Popularity: packages that depend on a recommended item, on average.")
    print("Coverage: share of all items that are in anybody's top 10.")
    first, *others = trials
    if others:
        best = max(others, key=lambda trial: trial.report["NDCG"].mean)
        print("", *difference_lines(first, best), sep="\n")


# --- recommendations -------------------------------------------------------------------------------------------------


def _print_recommendations(model: Recommender, train: Interactions, test: Interactions) -> None:
    present = set(train.user_ids.tolist())
    names = [name for name in PACKAGES if name in present]
    if not names:
        return
    rows = train.user_index(names)
    ids, _ = model.recommend(train.user_items[rows], N=min(LENGTH + 1, train.shape[1]))
    print("\nPackages that go with ...      (* really is a dependency, which the model had not seen)")
    for name, row, items in zip(names, rows, ids, strict=True):
        hidden = set(test.user_items[row].indices.tolist())
        known = train.item_ids[train.user_items[row].indices]
        others = [item for item in items.tolist() if item >= 0 and train.item_ids[item] != name][:LENGTH]
        marked = [f"{train.item_ids[item]}{'*' if item in hidden else ''}" for item in others]
        print(f"\n  {name}")
        _print_names("knows", known[:LENGTH], len(known) - LENGTH)
        _print_names("suggests", marked)


def _print_new_user(model: Recommender, train: Interactions) -> None:
    """Recommend for a history that is no row of the data: nothing is fitted again."""
    if not set(NEW_PACKAGE) <= set(train.item_ids.tolist()):
        return
    columns = train.item_index(NEW_PACKAGE)
    history = sparse.csr_matrix((np.ones(len(columns)), (np.zeros_like(columns), columns)), (1, train.shape[1]))
    ids, _ = model.recommend(history, N=min(LENGTH, train.shape[1]))
    print("\n  a new package of yours, without fitting again")
    _print_names("knows", NEW_PACKAGE)
    _print_names("suggests", found(train.item_names(ids[0])))


def _print_similar(model: Recommender, train: Interactions) -> None:
    present = set(train.item_ids.tolist())
    names = [name for name in NAMES if name in present]
    if not names:
        return
    ids, _ = model.similar_items(train.item_index(names), N=min(LENGTH, train.shape[1]))
    print("\nDependencies that are alike: needed by the same kind of package\n")
    width = max(map(len, names))
    for name, alike in zip(names, train.item_names(ids), strict=True):
        _print_names(name, found(alike[1:]), width=width)


def found(names: npt.NDArray[np.object_]) -> list[Any]:
    """Return the names of a list without the places that are empty."""
    return [name for name in names.tolist() if name is not None]


def _print_names(title: str, names: Sequence[Any] | npt.NDArray[Any], more: int = 0, width: int = 8) -> None:
    text = ", ".join(map(str, names)) + (f" and {more} more" if more > 0 else "")
    margin = " " * (width + 6)
    print(
        textwrap.fill(
            text, WIDTH, initial_indent=f"    {title:<{width}}  ", subsequent_indent=margin, break_on_hyphens=False
        )
    )


# --- the picture -----------------------------------------------------------------------------------------------------


def _save_picture(trials: Sequence[Trial], train: Interactions, test: Interactions, path: Path, say: Say) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        print("\nNo picture: matplotlib is not installed; pip install 'fastautorec[plot]'")
        return
    popularity = np.asarray(train.user_items.sum(axis=0)).ravel()
    drawn = {}
    for trial in trials:
        if trial.lists is not None:
            head = trial.lists[:, : CUTOFFS[0]]
            drawn[trial.name] = popularity[head[head >= 0]]
    popularity_figure(
        drawn,
        path,
        actual=popularity[test.user_items.indices],
        subtitle=f"{train.shape[0]:,} Debian packages; lists that follow their needs look like the grey area",
    )
    print(f"\nPicture of the popularity of the recommended items: {path}")
