"""Files are damaged: the library says so in its own error, or returns what was written; it never ends or hangs."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from scipy import sparse

import fastautorec as far
from fastautorec import InteractionsFileError, ModelFileError, RatingsFileError
from fastautorec._training import archive as _model_file
from fastautorec.cli import main
from fastautorec.data import _readers as readers
from faults.harness import Case, FaultError, fork, require, value_of
from faults.writers import Experiment, FitWithCheckpoint, Journal, Save, ToDisk, digest_of_data, small

OTHER = (RatingsFileError, ValueError)  # of files without checksums, which may also read as something else


@dataclass(frozen=True)
class Kind:
    """A kind of file or folder: where one is, how it is read, and what may come of a damaged one."""

    name: str
    source: Path
    read: Callable[[Path], Any]
    errors: tuple[type[BaseException], ...]
    sealed: bool = True  # with checksums, so that nothing else can be read than what was written
    content: list[Any] = field(default_factory=list)


def prepare(shared: Path) -> Case:
    kinds = _kinds(shared)
    for kind in kinds:
        kind.content.append(value_of(lambda kind=kind: kind.read(kind.source)))

    def case(rng: Random, number: int, folder: Path) -> None:
        kind = kinds[number % len(kinds)]
        path = folder / kind.source.name
        if kind.source.is_dir():
            shutil.copytree(kind.source, path)
        else:
            shutil.copy(kind.source, path)
        what = _damage(rng, path)
        ending = fork(lambda: kind.read(path))
        told = f"{kind.name}, {what}"
        require(not ending.signal, f"{told}: killed")
        if ending.error is not None:
            if type(ending.error) not in kind.errors:
                raise FaultError(f"{told}: {ending.trace}")
        elif kind.sealed and what != "inside a member":
            require(ending.value == kind.content[0], f"{told}: other content, and not a word")

    return case


# --- damage ---------------------------------------------------------------------------------------------------------


def _damage(rng: Random, path: Path) -> str:
    """Damage a file, or one of a folder, and return how."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        if rng.random() < 0.1:
            one, other = rng.sample(files, 2)
            content = one.read_bytes()
            one.write_bytes(other.read_bytes())
            other.write_bytes(content)
            return f"{one.name} and {other.name} swapped"
        if rng.random() < 0.05:
            gone = rng.choice(files)
            gone.unlink()
            return f"{gone.name} removed"
        path = rng.choice(files)
    elif (path.suffix == ".npz" or path.name == "checkpoint") and rng.random() < 0.3:
        return _damage_members(rng, path)
    name, content = _changed(rng, path.read_bytes())
    path.write_bytes(content)
    return f"{path.name}: {name}"


def _changed(rng: Random, content: bytes) -> tuple[str, bytes]:
    """Return how some bytes were changed, and what came out."""
    data, size = bytearray(content), len(content)
    start = rng.randrange(size)
    stop = min(start + int(2 ** rng.uniform(0, 12)), size)
    match rng.randrange(9):
        case 0:
            data[start] ^= 1 << rng.randrange(8)
            return f"bit of byte {start} flipped", bytes(data)
        case 1:
            for _ in range(rng.randint(2, 20)):
                data[rng.randrange(size)] ^= 1 << rng.randrange(8)
            return "some bits flipped", bytes(data)
        case 2:
            return f"cut at {start}", bytes(data[:start])
        case 3:
            return "something appended", bytes(data) + rng.randbytes(stop - start)
        case 4:
            data[start:stop] = bytes(stop - start)
            return f"{start}:{stop} zeroed", bytes(data)
        case 5:
            data[start:stop] = rng.randbytes(stop - start)
            return f"{start}:{stop} overwritten", bytes(data)
        case 6:
            del data[start:stop]
            return f"{start}:{stop} removed", bytes(data)
        case 7:
            data[start:start] = data[start:stop]
            return f"{start}:{stop} doubled", bytes(data)
        case _:
            data[start] = rng.choice(b'\0\xff09-"\n,{[')
            return f"byte {start} replaced", bytes(data)


def _damage_members(rng: Random, path: Path) -> str:
    """Swap two members of an archive or damage one, with checksums of the archive that fit."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    one, other = rng.sample(sorted(members), 2)
    if rng.random() < 0.3:
        members[one], members[other] = members[other], members[one]
        what = f"{one} and {other} swapped"
    else:
        _, members[one] = _changed(rng, members[one][: rng.choice((200, None))])
        what = "inside a member"
    compression = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return what


# --- kinds of files -------------------------------------------------------------------------------------------------


def _kinds(shared: Path) -> list[Kind]:
    made = {
        writer: writer(shared / writer.__name__) for writer in (Save, FitWithCheckpoint, ToDisk, Journal, Experiment)
    }

    def path(writer: Any, version: str = "new") -> Path:
        return getattr(made[writer], version) / made[writer].name

    def content(writer: Any) -> Callable[[Path], Any]:
        return lambda file: made[writer].content(file.parent)

    run = next((path(Experiment) / "runs").glob("*.npz"))
    value_of(lambda: _write_ratings(shared))
    config = shared / "config"
    config.mkdir()
    shutil.copy(made[Experiment].shared / "few.npz", config)
    parts = far.split(small(1), by="random")
    names = dict(zip(("train", "validation", "test"), ("a.npz", "b.npz", "c.npz"), strict=True))
    for name, part in zip(names.values(), parts, strict=True):
        sparse.save_npz(config / name, part)
    words = ", ".join(f'{part} = "{name}"' for part, name in names.items())
    more = f'[[datasets]]\nname = "Parts"\nsource = "parts"\npath = "."\nparts = {{ {words} }}\n'
    (config / "few.toml").write_text((path(Experiment) / "experiment.toml").read_text() + more)
    model, stored = (ModelFileError,), (InteractionsFileError,)
    return [
        Kind("model", path(Save), content(Save), model),
        Kind("checkpoint", path(FitWithCheckpoint), content(FitWithCheckpoint), model),
        Kind("run", run, _read_run, model),
        Kind("stored interactions, verified", path(ToDisk), content(ToDisk), (*stored, FileNotFoundError)),
        Kind("stored interactions", path(ToDisk), _use_store, (*stored, FileNotFoundError), sealed=False),
        Kind("journal", path(Journal, "old"), content(Journal), (ValueError,), sealed=False),
        *(
            Kind(f"{file.name}, {reader}", file, partial(_read_ratings, reader == "polars"), OTHER, sealed=False)
            for file in sorted((shared / "ratings").iterdir())
            for reader in ("polars", "plain")
        ),
        Kind("experiment", config, _run_config, (), sealed=False),
    ]


def _read_run(path: Path) -> Any:
    header, arrays = _model_file.read(path, "run")
    return repr((header["values"], {name: array.tolist() for name, array in arrays.items()}))


def _use_store(path: Path) -> None:
    """Open without looking at checksums, and use everything."""
    data = far.Interactions.open(path)
    for model in (far.Popularity(), far.EASE(), far.NSAutoRec(factors=4, epochs=1, negatives=5)):
        model.fit(data).recommend(data, N=2)
    digest_of_data(data)


def _write_ratings(shared: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    folder = shared / "ratings"
    folder.mkdir()
    rows, columns = small(1).nonzero()
    rng = np.random.default_rng(1)
    ratings, times = rng.integers(1, 6, len(rows)), rng.integers(10**9, 2 * 10**9, len(rows))
    users, items = [f"user {u}" for u in rows], [f"item {i}" for i in columns]
    table = pa.table({"user": users, "item": items, "rating": ratings, "timestamp": times})
    parquet.write_table(table, folder / "ratings.parquet")
    for part in range(2):
        (folder / "parts" / f"month={part}").mkdir(parents=True)
        parquet.write_table(table[200 * part : 200 * part + 200], folder / "parts" / f"month={part}" / "0.parquet")
    every = list(zip(rows.tolist(), columns.tolist(), ratings.tolist(), times.tolist(), strict=True))
    (folder / "ratings.csv").write_text(
        "user,item,rating,timestamp\n" + "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in every)
    )
    matrix = small(1)
    rows_of = [(u, matrix[u].indices.tolist()) for u in range(matrix.shape[0])]
    (folder / "lists.txt").write_text("".join(f"{u} {' '.join(map(str, own))}\n" for u, own in rows_of))
    films = [f"{u}:\n" + "".join(f"{i},3,2005-09-06\n" for i in own) for u, own in rows_of]
    (folder / "netflix.txt").write_text("".join(films))
    (folder / "ratings.dat").write_text("".join(f"{u}::{i}::{r}::{t}\n" for u, i, r, t in every))
    (folder / "quoted.csv").write_text("who;what\n" + "".join(f'"u ""{u}""";"i {i}"\n' for u, i, _, _ in every))


def _read_ratings(polars: bool, path: Path) -> None:
    readers._POLARS = polars
    words = {"quoted.csv": {"user": "who", "item": "what"}, "lists.txt": {"format": "lists"}}.get(path.name, {})
    far.read_ratings(path, **words, verbose=False)


def _run_config(path: Path) -> None:
    words = ["experiment", str(path / "few.toml"), "--data", str(path), "--output", str(path.parent / "out")]
    require(main(words) in (0, 1, 2), "another exit status")
