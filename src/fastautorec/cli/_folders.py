"""FILE where it is a folder of interactions, as `fastautorec shard` and `Interactions.to_disk` write them."""

from __future__ import annotations

import argparse
from pathlib import Path

from fastautorec.data import Interactions
from fastautorec.data import _store as store
from fastautorec.data._roles import Words
from fastautorec.distributed._folders import shards_in

ONE = "`fastautorec shard FILES --n-shards 1 --output DIR`"  # makes one folder of several files


def folder_of(args: argparse.Namespace) -> Path | None:
    """Return the folder of interactions that FILE is, or the only one in the output of `shard`; None for ratings."""
    path = Path(args.file)
    if not path.is_dir():
        return None
    if (path / store.HEADER).exists():
        return path
    shards = shards_in("FILE", path)
    if len(shards) > 1:
        raise ValueError(
            f"FILE must be one folder of interactions, but {path} has {len(shards)} shards; write one with {ONE}, or "
            "fit a model to all of them in Python with fastautorec.distributed.fit"
        )
    return shards[0] if shards else None


def opened(args: argparse.Namespace) -> Interactions | None:
    """Open FILE where it is a folder of interactions, or raise where options say how to read ratings."""
    folder = folder_of(args)
    if folder is None:
        return None
    given = [word for word, nothing in Words()._asdict().items() if getattr(args, word) != nothing]
    given += [] if args.threshold is None else ["threshold"]
    given += [] if args.file_format == "auto" else ["file-format"]
    if given:
        options = " ".join(_flag(word, getattr(args, word, None)) for word in given)
        raise ValueError(
            f"`{options}` belong to the reading of ratings, but FILE {args.file} is a folder of interactions, where "
            "that is done; give them to the `fastautorec shard` that writes the folder"
        )
    return Interactions.open(folder)


def _flag(word: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{word}" if value else f"--no-{word}"
    return "--weight" if word == "weights" else f"--{word}"
