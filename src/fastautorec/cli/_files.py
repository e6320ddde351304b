"""Files that commands read and write."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastautorec._extras import require
from fastautorec._files import target_of
from fastautorec.cli import _folders as folders
from fastautorec.cli._options import EVERY_ROW
from fastautorec.cli._streams import say
from fastautorec.data import Interactions, read_ratings, split
from fastautorec.data._repeats import tell_repeats
from fastautorec.data._roles import Words
from fastautorec.data._splits import empty_part
from fastautorec.models import Recommender


def read(args: argparse.Namespace, *models: Recommender) -> Interactions:
    """Read FILE as the options say, or open it; what was taken is shown before anything is done with it."""
    data = folders.opened(args)
    cause = "--weight changes"
    if data is None:
        said = words(args)._asdict()
        data = read_ratings(args.file, format=args.file_format, threshold=limit(args), **said, verbose=False)
        lines = data.describe().lines()
    else:
        lines = [f"{Path(args.file).name}: a folder of interactions", *data.describe().lines()[1:]]
        cause = "the weights in FILE change"
    for line in lines:  # not by read_ratings: here a closed stderr does no harm
        say(line)
    if data.weights is not None and not any(model._takes_weights for model in models):
        who = " and ".join(type(model).__name__ for model in models) or "every candidate"
        say(f"{cause} nothing here: {who} takes interactions as binary; wrmf takes weights")
    return data


def words(args: argparse.Namespace) -> Words:
    """Return what the options say of FILE."""
    return Words(**{word: getattr(args, word) for word in Words._fields})


def limit(args: argparse.Namespace) -> float | None:
    """Return the threshold that was given."""
    return None if args.threshold == EVERY_ROW else args.threshold


def writable(args: argparse.Namespace, *options: str) -> list[Path | None]:
    """Return the paths of the files that options name, or None, or raise before any work is done.

    Nothing that is written may be FILE, in the folder FILE, or what another option names.
    """
    source = Path(args.file) if hasattr(args, "file") else None
    given = {option: Path(name) for option in options if (name := getattr(args, option)) is not None}
    for number, (option, path) in enumerate(given.items()):
        if path.is_dir():
            raise PermissionError(f"cannot write a file at {path}, which is a folder")
        target = target_of(path)
        if not target.parent.is_dir():
            raise FileNotFoundError(f"no folder {target.parent} to write {target.name} to")
        if not os.access(target.parent, os.W_OK):
            raise PermissionError(f"cannot write a file at {path}")
        if source is not None and same(path, source):
            raise ValueError(f"`--{option}` {path} is FILE, which would be destroyed; name another file")
        if source is not None and source.is_dir() and source.resolve() in target.resolve().parents:
            raise ValueError(f"`--{option}` {path} is in the folder FILE, all of which is read; name a file elsewhere")
        for other in list(given)[:number]:
            if same(path, given[other]):
                raise ValueError(f"`--{other}` and `--{option}` name one file, {path}; name two")
    return [given.get(option) for option in options]


def check_picture(path: Path | None) -> None:
    """Raise if a picture cannot be drawn, or not in the format of its name: not after a long search."""
    if path is not None:
        require("matplotlib", "plot", "plot")
        from fastautorec.plots._search import check_format  # noqa: PLC0415  needs matplotlib

        check_format(path)


def same(path: Path, other: Path) -> bool:
    """Return whether two names are of one file, which need not be there yet."""
    if path.exists() and other.exists():
        return path.samefile(other)
    return path.resolve() == other.resolve()


def order(data: Interactions, by: str | None) -> str:
    """Return how to split where the user has not said it."""
    if by not in (None, "random") and data.timestamps is None:
        way_on = "no column of FILE was taken for them; name it with --timestamp"
        if data._source is None:
            way_on = "FILE, a folder, has none; give --timestamp to the `fastautorec shard` that writes it"
        raise ValueError(f"`--by` {by} needs timestamps, but {way_on}, or use --by random")
    if by is None:
        return "random" if data.timestamps is None else "time"
    return by


def split_in(
    data: Interactions, ratios: Sequence[float], by: str, random_state: int = 0, may_be_empty: Sequence[int] = ()
) -> tuple[Interactions, ...]:
    """Split each user's interactions into parts, or say how many they need if one of the parts is empty."""
    if by == "time":
        tell_repeats(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # told below, as an error or not at all
        parts: tuple[Interactions, ...] = split(data, ratios, by=by, random_state=random_state)
    if not all(part.nnz for number, part in enumerate(parts) if number not in may_be_empty):
        text = empty_part(data.user_items.indptr, tuple(ratios))
        n_parts = len(ratios)
        if np.diff(data.user_items.indptr).max(initial=0) < n_parts:
            raise ValueError(
                f"{text}; no --ratios help here, for {n_parts} parts need {n_parts} interactions of a user"
            )
        raise ValueError(f"{text}; give others with --ratios, for example --ratios {' '.join('1' * n_parts)}")
    return parts


def split_at(data: Interactions, by: str, at: Sequence[str] | None, least: int, most: int) -> tuple[Interactions, ...]:
    """Split all users at the same points in time, or hold out the last interaction of each for each later part."""
    parts: tuple[Interactions, ...]
    if by == "last":
        parts = split(data, by=by, n=(1,) * (least - 1))
        return parts
    if at is None or not least <= len(at) + 1 <= most:
        need = " or ".join(str(n - 1) for n in sorted({least, most}))
        example = " ".join(["2024-02-01", "2024-03-01"][: least - 1])
        raise ValueError(f"`--by` date needs {need} points in time, got {len(at or ())}; for example --at {example}")
    parts = split(data, by=by, at=at)
    return parts


def check_at(args: argparse.Namespace) -> None:
    """Raise for points in time that nothing is split at."""
    if args.at is not None and args.by != "date":
        raise ValueError(f"`--at` belongs to --by date, got {' '.join(args.at)}; add --by date")


def keep_threshold(model: Recommender, args: argparse.Namespace) -> None:
    """Note in a fitted model what counts as positive, so that its histories are read alike."""
    model.threshold_ = limit(args)
