"""Everything that the library writes: how, and how to see whether the old or the new version is there as a whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

import fastautorec as far
from fastautorec._training import archive as _model_file
from fastautorec.cli import main
from fastautorec.cli._main import INTERRUPTED
from fastautorec.experiments import _drawings as drawings
from faults.harness import require, value_of

TIMES = re.compile(r"[\d.]+")  # which differ each time
FAILED = re.compile(r" runs, \d+ failed")
SPACE = {"regularization": [1.0, 10.0, 100.0]}
drawings.can_draw = lambda: False  # takes seconds
DAYS = 2 * 24 * 3600.0  # after which a file with a temporary name is a leftover


def small(seed: int, n_users: int = 60, n_items: int = 40) -> sparse.csr_matrix:
    return far.datasets.synthetic(n_users, n_items, n_users * 8, random_state=seed)


def named(seed: int) -> far.Interactions:
    matrix = small(seed)
    m, n = matrix.shape
    return far.Interactions(matrix, [f"user {seed} {u}" for u in range(m)], [f"item {seed} {i}" for i in range(n)])


def digest_of_data(data: far.Interactions) -> str:
    digest = hashlib.sha256(f"{data.shape}".encode())
    for array in (data.user_items.indptr, data.user_items.indices):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr((data.user_ids.tolist(), data.item_ids.tolist())).encode())
    return digest.hexdigest()


def digest_of_model(model: Any) -> str:
    digest = hashlib.sha256(repr(model).encode())
    for name, array in sorted(vars(model).items()):
        if isinstance(array, np.ndarray):
            digest.update(f"{name} {array.tolist()}".encode())
    return digest.hexdigest()


class RefusedError(Exception):
    """A command has told an error by its exit status."""


def _command(*words: object) -> None:
    status = main([str(word) for word in words])
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    if status:
        raise RefusedError(f"{words[0]} ended with {status}")


class Writer:
    """One way to write something; made once, used for many cases."""

    name = "file"  # that appears in the folder of a case

    def __init__(self, shared: Path) -> None:
        self.shared = shared
        shared.mkdir()
        self.old, self.new = shared / "old", shared / "new"
        for folder, write in ((self.old, self.write_old), (self.new, self.write)):
            folder.mkdir()
            value_of(lambda folder=folder, write=write: write(folder))
        self.contents = [value_of(lambda folder=folder: self.content(folder)) for folder in (self.old, self.new)]

    def write_old(self, folder: Path) -> None:
        raise NotImplementedError

    def write(self, folder: Path) -> None:
        """Write the new version, over an old one where there is one."""
        raise NotImplementedError

    def content(self, folder: Path) -> str:
        """Return the content of what was written; any error is a fault."""
        raise NotImplementedError

    def begin(self, folder: Path, over: bool) -> None:
        """Put the old version into a folder, if it is to be written over."""
        if over:
            shutil.copytree(self.old, folder, dirs_exist_ok=True)

    def check(self, folder: Path, over: bool) -> None:
        """Raise FaultError unless the old or the new version is there, or nothing where there was none."""
        if not os.path.lexists(folder / self.name):
            require(not over, f"{self!r}: the old version is gone")
        else:
            require(self.content(folder) in self.contents, f"{self!r}: neither the old nor the new version is there")

    def check_again(self, folder: Path, left: bool = True) -> None:
        """Raise FaultError unless it can be written now, and what was left over is gone: later, if ``left``, or now."""
        if left:
            for path in [path for path in folder.rglob("*") if path.name.startswith(".")]:
                os.utime(path, (time.time() - DAYS,) * 2)
        self.write(folder)
        require(self.content(folder) == self.contents[1], f"{self!r}: written again, it is not the new version")
        more = {path.name for path in folder.iterdir()} - {self.name}
        require(not more, f"{self!r}: {sorted(more)} is left over")

    def __repr__(self) -> str:
        return type(self).__name__


class Save(Writer):
    name, format = "model.npz", "npz"

    def write_old(self, folder: Path) -> None:
        far.NCEAutoRec(factors=4).fit(named(1)).save(folder / self.name, format=self.format)

    def write(self, folder: Path) -> None:
        far.NCEAutoRec(factors=5).fit(named(2)).save(folder / self.name, format=self.format)

    def content(self, folder: Path) -> str:
        return digest_of_model(far.load(folder / self.name))


class SaveFolder(Save):
    name, format = "model", "folder"


class CommandFit(Save):
    """`fastautorec fit --output`."""

    def _fit(self, folder: Path, seed: int) -> None:
        path = self.shared / f"{seed}.csv"
        if not path.exists():
            rows, columns = small(seed).nonzero()
            lines = [f"u{u},i{i}\n" for u, i in zip(rows.tolist(), columns.tolist(), strict=True)]
            path.write_text("user,item\n" + "".join(lines))
        _command("fit", path, "--model", "ease", "--output", folder / self.name)

    def write_old(self, folder: Path) -> None:
        self._fit(folder, 1)

    def write(self, folder: Path) -> None:
        self._fit(folder, 2)


class FitWithCheckpoint(Writer):
    name = "checkpoint"

    def _fit(self, seed: int, **words: Any) -> Any:
        return far.NSAutoRec(factors=4, epochs=3, negatives=5).fit(small(seed), **words)

    def write_old(self, folder: Path) -> None:
        self._fit(1, checkpoint=folder / self.name)

    def write(self, folder: Path) -> None:
        self._fit(2, checkpoint=folder / self.name)

    def content(self, folder: Path) -> str:
        """Return what a continuation comes to: one epoch or three, it is the same."""
        for seed in (1, 2):
            try:
                return digest_of_model(self._fit(seed, resume=folder / self.name))
            except far.ModelFileError as error:
                if "belongs to another run" not in str(error):
                    raise
        raise AssertionError("a checkpoint of neither run")


class ToDisk(Writer):
    name = "data"

    def write_old(self, folder: Path) -> None:
        named(1).to_disk(folder / self.name)

    def write(self, folder: Path) -> None:
        named(2).to_disk(folder / self.name, overwrite=True)

    def content(self, folder: Path) -> str:
        return digest_of_data(far.Interactions.open(folder / self.name, verify=True))


class WriteBlocks(ToDisk):
    def write(self, folder: Path) -> None:
        far.Interactions.write(folder / self.name, named(2).blocks(25), overwrite=True)


with contextlib.suppress(ImportError):
    from optuna.storages import journal

    # the lock of a killed process is waited for half a minute, which is too long here
    journal.JournalFileSymlinkLock = partial(journal.JournalFileSymlinkLock, grace_period=0.2)


class Journal(Writer):
    """A search is what all of its trials say: after a kill the same call completes it."""

    name = "journal"

    def _tune(self, folder: Path) -> Any:
        # A study cannot be pruned of trials that were killed; so more are asked for than there are points.
        return far.tune(far.EASE, small(1), small(2), SPACE, n_trials=9, storage=folder / self.name)

    def write_old(self, folder: Path) -> None:
        far.tune(far.EASE, small(1), small(2), SPACE, n_trials=1, storage=folder / self.name)

    def write(self, folder: Path) -> None:
        self._tune(folder)

    def content(self, folder: Path) -> str:
        result = self._tune(folder)
        return repr((result.best_params, result.best_metric))

    def check_again(self, folder: Path, left: bool = True) -> None:
        del left  # Optuna's own files may stay
        self.write(folder)


CONFIG = """
seeds = [0]
[evaluation]
k = [5]
[[datasets]]
name = "Few"
source = "arrays"
path = "few.npz"
by = "random"
[[models]]
name = "POP"
class = "Popularity"
[[models]]
name = "AutoRec"
class = "AutoRec"
params = { factors = 4, epochs = 2 }
"""


class Experiment(Writer):
    """The folder of an experiment: finished runs are there whole or not at all, and so are its tables."""

    name = "out"

    def _run(self, folder: Path, note: str) -> None:
        if not (self.shared / "few.npz").exists():
            rows, columns = small(1).nonzero()
            np.savez(self.shared / "few.npz", user=rows, item=columns)
        config = self.shared / f"{os.getpid()}.toml"
        config.write_text(f'name = "few"\ntitle = "{note}"\n' + CONFIG)
        try:
            _command("experiment", config, "--data", self.shared, "--output", folder / self.name)
        finally:
            config.unlink()

    def write_old(self, folder: Path) -> None:
        self._run(folder, "old")

    def write(self, folder: Path) -> None:
        self._run(folder, "new")

    def content(self, folder: Path) -> str:
        out = folder / self.name
        return (out / "summary.csv").read_text() + TIMES.sub("", (out / "report.md").read_text())

    def check(self, folder: Path, over: bool) -> None:
        """Each file is an old one or a new one; the folder is filled one by one."""
        out = folder / self.name
        report = out / "report.md"
        if report.exists() and FAILED.search(report.read_text()):
            return  # a model for which the system had too little: it is told, and the others go on
        for path in out.rglob("*"):
            if path.is_dir() or path.name == ".lock" or path.name.endswith((".tmp", ".unfinished")):
                continue
            name = path.relative_to(out)
            kept = [version / self.name / name for version in (self.old, self.new)]
            if path.suffix == ".npz":
                _model_file.read(path, "run")
            elif path.suffix == ".parquet":
                require(path.read_bytes() in [old.read_bytes() for old in kept], f"{self!r}: {name} is another file")
            else:
                found = [TIMES.sub("", one.read_text()) for one in (path, *kept)]
                require(found[0] in found[1:], f"{self!r}: {name} is neither the old nor the new file")

    def check_again(self, folder: Path, left: bool = True) -> None:
        super().check_again(folder, left)
        more = [path.name for path in (folder / self.name).rglob("*") if path.name.endswith((".tmp", ".unfinished"))]
        require(not more, f"{self!r}: {more} is left over")


WRITERS = (Save, SaveFolder, CommandFit, FitWithCheckpoint, ToDisk, WriteBlocks, Journal, Experiment)


def all_writers(shared: Path) -> list[Writer]:
    return [writer(shared / writer.__name__) for writer in WRITERS]
