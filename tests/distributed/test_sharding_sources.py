"""Where the files of shards may lie: in stores, behind links, under two names; and what tells that one has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sharded import Elsewhere, Stopping

import fastautorec as far
from fastautorec import distributed
from fastautorec.distributed._engines import Local

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
import pyarrow.fs  # noqa: E402
import pyarrow.parquet  # noqa: E402
from parquet_parts import DRAWN, bytes_in, data_set  # noqa: E402


def stores(folder: Path) -> dict[str, Any]:
    """Return ways to read a folder as if it were in a store: the name in it, and the file system to say."""
    tree = pyarrow.fs.SubTreeFileSystem(str(folder.parent), pyarrow.fs.LocalFileSystem())
    return {"file://": (folder.as_uri(), None), "subtree": (folder.name, tree)}


@pytest.mark.parametrize("store", ["file://", "subtree"])
def test_stores_of_pyarrow(store: str, tmp_path: Path) -> None:
    folder = data_set(tmp_path / "ratings", texts=True)
    distributed.shard(folder, tmp_path / "here", n_shards=3, verbose=False)
    name, filesystem = stores(folder)[store]
    for engine in ("local", Elsewhere()):
        output = tmp_path / f"there {type(engine).__name__}"
        distributed.shard(name, output, n_shards=3, engine=engine, filesystem=filesystem, verbose=False)
        assert bytes_in(output) == bytes_in(tmp_path / "here")


def test_stores_of_fsspec(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    folder = data_set(tmp_path / "ratings")
    distributed.shard(folder, tmp_path / "here", n_shards=3, verbose=False)
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/bucket/ratings", recursive=True)
    try:
        for number, (name, given) in enumerate((("memory://bucket/ratings", None), ("/bucket/ratings", memory))):
            distributed.shard(name, tmp_path / str(number), n_shards=3, filesystem=given, verbose=False)
            assert bytes_in(tmp_path / str(number)) == bytes_in(tmp_path / "here")
        one = "memory://bucket/ratings/day=0/part-0.parquet"
        (path,) = distributed.shard(one, tmp_path / "one", n_shards=1, verbose=False)
        assert far.Interactions.open(path).nnz == len({(u, i) for u, i, *_ in DRAWN[0:720:3].tolist()})
        for words, name in (
            ("does not exist", "memory://bucket/nothing"),
            ("must hold .*parquet files", "memory://bucket"),
            ("must be Parquet files", "memory://other/a.csv"),
            ("pyarrow.fs or fsspec can open", "nowhere://bucket/ratings"),
        ):
            memory.pipe("/other/a.csv", b"user,item\n1,2\n")
            if words == "must hold .*parquet files":
                memory.rm("/bucket", recursive=True)
                memory.pipe("/bucket/readme.txt", b"nothing")
            with pytest.raises((ValueError, FileNotFoundError), match=words):
                distributed.shard(name, tmp_path / "out", verbose=False)
    finally:
        memory.store.clear()


class Before(Local):
    """An engine that does something before anything is read."""

    def __init__(self, event: Callable[[], Any]) -> None:
        self.event = event

    def reduce(self, work: Any, shards: Any, state: Any) -> Any:
        self.event()
        return super().reduce(work, shards, state)


def small(path: Path, user: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    pa.parquet.write_table(pa.table({"user": [user], "item": [1]}), path)
    os.utime(path, (10**9, 10**9))
    return path


def users_of_a_resumed_call(tmp_path: Path, between: Callable[[], Any], name: str, *systems: Any) -> Any:
    """Return the users of a call that was stopped once its files were read, and is made again with the last system."""
    with pytest.raises(ConnectionError):
        distributed.shard(name, tmp_path / "out", filesystem=systems[0], engine=Stopping(1), verbose=False)
    between()
    (path,) = distributed.shard(name, tmp_path / "out", filesystem=systems[-1], verbose=False)
    return far.Interactions.open(path).user_ids.tolist()


def test_a_file_of_a_store_that_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    memory = fsspec.filesystem("memory")
    old, new = (small(tmp_path / "files" / f"{user}.parquet", user).read_bytes() for user in (1, 2))
    assert len(old) == len(new)
    info, known = type(memory).info, ("name", "size", "type")
    try:
        for words in (("created",), ()):
            told = {*known, *words}
            monkeypatch.setattr(
                type(memory), "info", lambda *a, told=told, **k: {n: v for n, v in info(*a, **k).items() if n in told}
            )
            memory.pipe("/bucket/a.parquet", old)
            between = lambda: memory.pipe("/bucket/a.parquet", new)  # noqa: E731
            name = "memory://bucket/a.parquet"
            assert users_of_a_resumed_call(tmp_path, between, name, None) == [2]
            (tmp_path / "out").rename(tmp_path / f"done {len(words)}")
    finally:
        memory.store.clear()


def remembering() -> Any:
    """Return a file system of fsspec that tells what it has listed before, as those of object stores do."""
    local = pytest.importorskip("fsspec.implementations.local", reason="fsspec is not installed")

    class Remembering(local.LocalFileSystem):  # type: ignore[misc, name-defined]
        protocol = "remembering"

        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self.known: dict[Any, Any] = {}

        def info(self, path: str, **given: Any) -> Any:
            if path not in self.known:
                self.known[path] = super().info(path, **given)
            return self.known[path]

        def ls(self, path: str, detail: bool = False, **given: Any) -> Any:
            if (path, detail) not in self.known:
                self.known[path, detail] = super().ls(path, detail=detail, **given)
            return self.known[path, detail]

        def invalidate_cache(self, path: str | None = None) -> None:
            self.known.clear()

    return Remembering(skip_instance_cache=True)


@pytest.mark.parametrize("within", [False, True], ids=["store", "folder of a store"])
def test_a_store_that_remembers_what_it_has_listed(within: bool, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    small(folder / "1.parquet", 1)
    filesystem = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(remembering()))
    if within:
        filesystem = pyarrow.fs.SubTreeFileSystem(str(tmp_path), filesystem)
    name = "files" if within else str(folder)

    def users(output: str, engine: Any = "local") -> Any:
        (path,) = distributed.shard(name, tmp_path / output, filesystem=filesystem, engine=engine, verbose=False)
        return far.Interactions.open(path).user_ids.tolist()

    assert users("first") == [1]
    small(folder / "2.parquet", 2)
    assert users("second") == [1, 2], "a part that was written since"
    with pytest.raises(ValueError, match=r"2\.parquet was changed while it was read"):
        users("third", Before(lambda: os.utime(folder / "2.parquet", (2 * 10**9, 2 * 10**9))))


def test_another_file_system_with_the_same_paths(tmp_path: Path) -> None:
    systems = []
    for user in (1, 2):
        small(tmp_path / str(user) / "a.parquet", user)
        systems.append(pyarrow.fs.SubTreeFileSystem(str(tmp_path / str(user)), pyarrow.fs.LocalFileSystem()))
    assert users_of_a_resumed_call(tmp_path, list, "a.parquet", *systems) == [2]


def test_one_file_with_two_names(tmp_path: Path) -> None:
    file = small(tmp_path / "a.parquet", 1)
    (tmp_path / "hard.parquet").hardlink_to(file)
    for other in (file.as_uri(), f"local://{file}", tmp_path / "hard.parquet"):
        with pytest.raises(ValueError, match="name each file once"):
            distributed.shard([file, other], tmp_path / "out", verbose=False)


def test_parts_behind_links_and_without_an_ending(tmp_path: Path) -> None:
    folder = tmp_path / "ratings"
    small(folder / "a.parquet", 1)
    small(tmp_path / "elsewhere" / "b.parquet", 2)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    for name in (folder, folder.as_uri()):
        (path,) = distributed.shard(name, tmp_path / str(name)[:4].strip("/:"), verbose=False)
        assert far.Interactions.open(path).user_ids.tolist() == [1, 2]
    assert far.read_ratings(folder, verbose=False).user_ids.tolist() == [1, 2]
    bare = small(folder / "000000_0", 3)
    with pytest.raises(far.RatingsFileError, match="000000_0: is a Parquet file that is not called so"):
        distributed.shard(folder, tmp_path / "out", verbose=False)
    bare.rename(folder / "_000000_0")
    (folder / "round").symlink_to(tmp_path)
    with pytest.raises(far.RatingsFileError, match="round: leads back"):
        distributed.shard(folder, tmp_path / "out", verbose=False)
