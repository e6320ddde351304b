"""Folders of interactions as callers name them: paths, what is mapped from one, or the output of `shard`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from fastautorec._checks import kind
from fastautorec.data import _store as store
from fastautorec.data._mapped import MappedCsr

SHARD = re.compile("shard-([0-9]{5}|[1-9][0-9]{5,})")  # as `shard` names them


def paths_of(name: str, folder: Any) -> list[Path]:
    """Return the path of a folder, or those of the shards in it, in their order."""
    if isinstance(folder, (str, os.PathLike)):
        path = Path(folder).absolute()
        return shards_in(name, path) or [path]
    matrix = getattr(folder, "_csr", None)
    if not isinstance(matrix, MappedCsr):
        raise TypeError(
            f"`{name}` must be on disk, where all workers read it, got {kind(folder)}; write it with "
            "data.to_disk(path) and pass the path"
        )
    return [matrix.path.absolute()]


def shards_in(name: str, path: Path) -> list[Path]:
    """Return the shards in the output of `shard`; none of what is another folder, or is not there."""
    if not path.is_dir() or (path / store.HEADER).exists():
        return []
    shards = {int(found[1]): one for one in path.iterdir() if (found := SHARD.fullmatch(one.name))}
    for place, number in enumerate(sorted(shards)):
        if place != number:
            raise FileNotFoundError(
                f"`{name}` must be a folder with all of its shards, but shard-{place:05d} is missing in {path}, which "
                f"has {shards[max(shards)].name}: its users would be left out; bring it back, or pass a list of "
                "the folders that are meant"
            )
    return [shards[number] for number in sorted(shards)]
