"""Sums over all shards, kept in files: an interrupted fit goes on from them with the same bits, on any engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from fastautorec._training import archive
from fastautorec.distributed._rooms import taken
from fastautorec.exceptions import ModelFileError

KIND = "sums over shards"
NAMES = r"pass-\d{4,}\.npz"


class Passes:
    """A folder with one file for each pass of a fit that is not finished.

    The work between two passes depends on their sums alone, so these are all that is kept.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        """Take a folder that is `taken`, and what must be the same when the fit goes on."""
        self._folder, self._identity, self._number = folder, archive.plain(identity), 0

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, identity: dict[str, Any]) -> Iterator[Passes]:
        """Have a folder until the fit ends; a fit that comes to its end removes it, and so does one without a pass."""
        folder = folder.resolve()  # what a symbolic link leads to
        with taken(folder, NAMES, "`checkpoint` must be a folder of its own", "checkpoint"):
            try:
                yield cls(folder, identity)
                for path in folder.iterdir():
                    path.unlink()
            finally:
                with suppress(OSError):  # one that has passes stays
                    folder.rmdir()

    def take(self) -> Any:
        """Return the sums of the next pass, or None where they are not known."""
        path = self._path()
        if not path.exists():
            return None
        header, arrays = archive.read(path, KIND)
        there = header.get("identity", {})
        for name, here in self._identity.items():
            if there.get(name) != here:
                raise ModelFileError(
                    f"`checkpoint`={str(self._folder)!r} belongs to another fit: its {name} differ; continue with the "
                    "same model, parameters, data and version, or name another folder"
                )
        self._number += 1
        sums = tuple(arrays[str(place)] for place in range(header["count"]))
        return sums if header["several"] else sums[0]

    def keep(self, sums: Any) -> None:
        """Write the sums of the next pass."""
        several = isinstance(sums, tuple)
        arrays = {str(place): np.asarray(array) for place, array in enumerate(sums if several else (sums,))}
        header = {"identity": self._identity, "count": len(arrays), "several": several}
        archive.write(self._path(), header, dict(arrays), KIND)
        self._number += 1

    def _path(self) -> Path:
        return self._folder / f"pass-{self._number:04d}.npz"
