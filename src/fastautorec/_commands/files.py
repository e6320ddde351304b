"""Files that commands read and write."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from fastautorec._commands.options import EVERY_ROW
from fastautorec._commands.streams import say
from fastautorec._data.roles import ROLES
from fastautorec._data.splits import empty_part
from fastautorec.data import Interactions, read_ratings, split
from fastautorec.models import Recommender

WORDS = (*ROLES, "sep", "header")


def read(args: argparse.Namespace) -> Interactions:
    """Read FILE as the options say; what was taken is shown before anything is done with it."""
    words = {word: getattr(args, word) for word in WORDS}
    data = read_ratings(args.file, format=args.file_format, threshold=limit(args), **words, verbose=False)
    for line in data.describe().lines():  # told here, where it does no harm if nobody hears it
        say(line)
    return data


def limit(args: argparse.Namespace) -> float | None:
    """Return the threshold that was given."""
    return None if args.threshold == EVERY_ROW else args.threshold


def writable(path: Path) -> Path:
    """Return the path of a file to write, or raise before any work is done."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} to")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise PermissionError(f"cannot write a file at {path}")
    return path


def order(data: Interactions, by: str | None) -> str:
    """Return how to split where the user has not said it."""
    if by is None:
        return "random" if data.timestamps is None else "time"
    return by


def split_in(
    data: Interactions, ratios: Sequence[float], by: str, random_state: int = 0, may_be_empty: Sequence[int] = ()
) -> tuple[Interactions, ...]:
    """Split each user's interactions into parts, or say how many they need if one of the parts is empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # told below, as an error or not at all
        parts: tuple[Interactions, ...] = split(data, ratios, by=by, random_state=random_state)
    if not all(part.nnz for number, part in enumerate(parts) if number not in may_be_empty):
        text = empty_part(data.user_items.indptr, tuple(ratios))
        raise ValueError(f"{text}; give others with --ratios, for example --ratios {' '.join('1' * len(ratios))}")
    return parts


def keep_threshold(model: Recommender, args: argparse.Namespace) -> None:
    """Note in a fitted model what counts as positive, so that its histories are read alike."""
    model.threshold_ = limit(args)
