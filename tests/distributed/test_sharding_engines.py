"""Shards made on engines: the bytes of one machine, and on from where a call was stopped."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from lanes import keeping
from sharded import Elsewhere, Stopping

import fastautorec as far
from fastautorec import distributed
from fastautorec.distributed._engines import Local

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
from parquet_parts import bytes_in, data_set, whole  # noqa: E402


def rows_in(shards: list[Path]) -> list[tuple[Any, ...]]:
    frames = [far.Interactions.open(path, verify=True).to_arrow() for path in shards]
    return sorted(tuple(row.values()) for row in pa.concat_tables(frames).to_pylist())


class Between(Local):
    """An engine that does something when the first pass is over."""

    def __init__(self, event: Callable[[], Any]) -> None:
        self.event = event

    def reduce(self, work: Any, shards: Any, state: Any) -> Any:
        joined = super().reduce(work, shards, state)
        self.event()
        return joined


@pytest.mark.parametrize("texts", [False, True], ids=["integers", "texts"])
def test_engines_write_the_bytes_of_one_machine(texts: bool, tmp_path: Path) -> None:
    folder = data_set(tmp_path / "ratings", texts)
    here = distributed.shard(folder, tmp_path / "here", n_shards=3, verbose=False)
    parts = sorted(folder.rglob("*.[pP]*"))[::-1]
    parts = [part for part in parts if not part.name.startswith("_")]
    distributed.shard(parts, tmp_path / "there", n_shards=3, engine=Elsewhere(), verbose=False)
    assert bytes_in(tmp_path / "there") == bytes_in(tmp_path / "here")
    expected = whole(texts).to_arrow().to_pylist()
    assert rows_in(here) == sorted(tuple(row.values()) for row in expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "ratings", "there"]


@pytest.mark.filterwarnings("ignore:Couldn't detect a suitable IP address")  # Dask, without a network
def test_dask_writes_the_same_bytes(tmp_path: Path) -> None:
    try:
        metadata.version("distributed")  # this folder has the name of the package: importing tells nothing
    except metadata.PackageNotFoundError:
        pytest.skip("needs Dask: make test-cluster")
    import dask.distributed as dask

    folder = data_set(tmp_path / "ratings", texts=True)
    distributed.shard(folder, tmp_path / "here", n_shards=3, verbose=False)
    options = {"threads_per_worker": 2, "processes": False, "dashboard_address": None}  # nothing listens
    with dask.LocalCluster(n_workers=1, **options) as cluster, dask.Client(cluster) as client:
        distributed.shard(folder, tmp_path / "dask", n_shards=3, engine=client, verbose=False)
        pa.parquet.write_table(pa.table({"user": ["u", None], "item": ["a", "b"]}), folder / "null.parquet")
        with pytest.raises(ValueError, match=r"null\.parquet.* got (None|nan) in row 1"):
            distributed.shard(folder, tmp_path / "refused", n_shards=3, engine=client, timestamp=False, verbose=False)
    assert bytes_in(tmp_path / "dask") == bytes_in(tmp_path / "here")


def test_weights_and_times_of_two_types(tmp_path: Path) -> None:
    files = []
    for number, times in enumerate(([5, 9], [7.5, 8.0])):
        files.append(tmp_path / f"{number}.parquet")
        columns = {"user": [1, 2], "item": [10, 20 + number], "timestamp": times, "plays": [1.5, 2.0 + number]}
        pa.parquet.write_table(pa.table(columns), files[-1])
    for engine in ("local", Elsewhere()):
        (path,) = distributed.shard(files, tmp_path / str(engine)[:3], weights="plays", engine=engine, verbose=False)
        data = far.Interactions.open(path)
        assert data.user_items.toarray().tolist() == [[1, 0, 0], [0, 1, 1]]
        assert data.timestamps.tolist() == [7.5, 9.0, 8.0], "the latest of a pair"
        assert data.weights.tolist() == [3.0, 2.0, 3.0], "the sum of a pair"


def test_times_of_two_kinds(tmp_path: Path) -> None:
    columns = {
        "dates": pa.array([1, 2], pa.timestamp("s")),
        "durations": pa.array([1, 2], pa.duration("s")),
        "numbers": pa.array([1, 2]),
    }
    for kind, times in columns.items():
        pa.parquet.write_table(pa.table({"user": [1, 2], "item": [1, 2], "timestamp": times}), tmp_path / f"{kind}.pq")
    for one, other in itertools.combinations(sorted(columns), 2):
        with pytest.raises(ValueError, match=rf"one kind, but those in .* are {one} and those in .* {other};"):
            distributed.shard([tmp_path / f"{other}.pq", tmp_path / f"{one}.pq"], tmp_path / "out", verbose=False)


@pytest.mark.parametrize("tasks", keeping([3, 11], range(13)))
def test_a_call_that_was_stopped_goes_on(tasks: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = data_set(tmp_path / "ratings")
    distributed.shard(folder, tmp_path / "whole", n_shards=3, verbose=False)
    with pytest.raises(ConnectionError):
        distributed.shard(folder, tmp_path / "out", n_shards=3, engine=Stopping(tasks), verbose=False)
    assert not (tmp_path / "out").exists()
    there = {path for path in (tmp_path / "out.unfinished").rglob("*") if path.is_file()}
    again = Stopping(len([*data_set_parts(folder)]) * 2 + 3)
    distributed.shard(folder, tmp_path / "out", n_shards=3, engine=again)
    assert "out.unfinished: goes on from what is there" in capsys.readouterr().err
    assert bytes_in(tmp_path / "out") == bytes_in(tmp_path / "whole")
    assert there, "what the call is for is known at least"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "ratings", "whole"]


def data_set_parts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("_")]


def test_what_is_finished_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastautorec.distributed import _parts

    folder = data_set(tmp_path / "ratings")
    read: list[str] = []
    load = _parts.load
    monkeypatch.setattr(_parts, "load", lambda file, *given: (read.append(str(file)), load(file, *given))[1])
    with pytest.raises(ConnectionError):
        distributed.shard(folder, tmp_path / "out", n_shards=2, engine=Stopping(3), verbose=False)
    assert len(read) == 3
    distributed.shard(folder, tmp_path / "out", n_shards=2, verbose=False)
    assert sorted(read) == sorted(map(str, data_set_parts(folder))), "each part is read once"


@pytest.mark.parametrize("left", [(), ("parts", "shards"), ("call.json", ".call.json.0a1b2c3d.tmp")], ids=str)
def test_a_call_that_was_killed_at_its_beginning(left: tuple[str, ...], tmp_path: Path) -> None:
    room = tmp_path / "out.unfinished"
    room.mkdir()
    for name in left:
        (room / name).write_text("{") if "." in name else (room / name).mkdir()
    distributed.shard(data_set(tmp_path / "ratings"), tmp_path / "out", n_shards=2, verbose=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "ratings"]


def test_another_call_begins_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = data_set(tmp_path / "ratings")
    with pytest.raises(ConnectionError):
        distributed.shard(folder, tmp_path / "out", n_shards=3, engine=Stopping(12), verbose=False)
    paths = distributed.shard(folder, tmp_path / "out", n_shards=2, threshold=3)
    assert "left by another call, begins anew" in capsys.readouterr().err
    distributed.shard(folder, tmp_path / "whole", n_shards=2, threshold=3, verbose=False)
    assert (len(paths), bytes_in(tmp_path / "out")) == (2, bytes_in(tmp_path / "whole"))


SLOW = """
import sys, time
from fastautorec import distributed
from fastautorec.distributed import _parts
write = _parts.replace_content
def slowly(path, content):
    write(path, content)
    print(path.name, flush=True)
    time.sleep(0.2)
_parts.replace_content = slowly
distributed.shard(sys.argv[1], sys.argv[2], n_shards=3, verbose=False)
"""


def test_a_killed_call_goes_on(tmp_path: Path) -> None:
    folder = data_set(tmp_path / "ratings", texts=True)
    distributed.shard(folder, tmp_path / "whole", n_shards=3, verbose=False)
    command = [sys.executable, "-c", SLOW, str(folder), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in itertools.islice(process.stdout, 1, 3):
            assert line == "facts.json\n"
        with pytest.raises(FileExistsError, match=r"another call is using .*; wait for it, or name another `output`"):
            distributed.shard(folder, tmp_path / "out", n_shards=3, verbose=False)
        os.kill(process.pid, signal.SIGKILL)
    distributed.shard(folder, tmp_path / "out", n_shards=3, engine=Elsewhere(), verbose=False)
    assert bytes_in(tmp_path / "out") == bytes_in(tmp_path / "whole")


@pytest.mark.parametrize("engine", ["local", Elsewhere()], ids=["local", "elsewhere"])
def test_bad_parts(engine: Any, tmp_path: Path) -> None:
    def refused(words: str, files: Any = None, **given: Any) -> None:
        options = {"n_shards": 2, "engine": engine, "verbose": False, **given}
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            distributed.shard(files or folder, tmp_path / "out", **options)
        assert {path.name for path in tmp_path.iterdir()} == {"ratings"}, "nothing is left"

    folder = data_set(tmp_path / "ratings")
    bad = folder / "day=2" / "bad.parquet"
    for words, rows in {
        r"bad\.parquet: .*'user' .*got (None|nan) in row 1": {"user": [1, None], "item": [1, 2]},
        r"bad\.parquet: .*'item' .*got (None|nan) in row 0": {"user": [1, 2], "item": [None, 2]},
        r"users are integers in .*part-0\.parquet and texts in .*bad\.parquet": {"user": ["a", "b"], "item": [1, 2]},
        r"items are integers in .*part-0\.parquet and texts in .*bad\.parquet": {"user": [1, 2], "item": ["a", "b"]},
        r"same columns in all parts of .*ratings, .* in .*bad\.parquet": {"user_id": [1, 2], "item": [1, 2]},
    }.items():
        pa.parquet.write_table(pa.table({**rows, "timestamp": [1, 2]}), bad)
        refused(words)
    pa.parquet.write_table(pa.table({"user": [1], "item": [2]}), bad)
    refused(r"same columns in all parts of .*'timestamp'.* were taken in .*part-0\.parquet and .* in .*bad\.parquet")
    refused(
        r"all have times or none, but .*part-0\.parquet has some and .*bad\.parquet has none",
        [bad, bad.parents[1] / "day=0" / "part-0.parquet"],
    )
    bad.write_bytes(b"PAR1 and no more")
    refused(r"bad\.parquet: not a readable Parquet file")
    bad.unlink()
    refused("`item_bytes` 100 is less than .* 160 bytes or more", item_bytes=100)
    refused("name each file once", [folder, folder / "day=0" / "part-0.parquet"])
    refused("none in 1 parts", folder / "day=3" / "part-3.parquet", n_shards=None)
    refused("leaves .* shards without users", n_shards=1000)


def test_parts_that_change_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastautorec.distributed import _parts

    folder = data_set(tmp_path / "ratings")
    part, output = folder / "day=1" / "part-1.parquet", tmp_path / "out"
    content = part.read_bytes()

    def call(engine: Any) -> None:
        distributed.shard(folder, output, n_shards=2, engine=engine, verbose=False)

    with pytest.raises(FileNotFoundError, match=r"part-1\.parquet"):
        call(Between(part.unlink))
    part.write_bytes(content)
    with pytest.raises(ValueError, match=r"part-1\.parquet was changed while it was read"):
        call(Between(lambda: part.write_bytes(content + b" ")))
    part.write_bytes(content)
    gone = tmp_path / "out.unfinished" / "parts" / "part-00001" / "indices.npy"
    with pytest.raises(FileNotFoundError, match=r"what was read of .*part-1\.parquet is not there .*indices\.npy"):
        call(Between(gone.unlink))
    load = _parts.load
    monkeypatch.setattr(_parts, "load", lambda file, *given: (time.sleep(0.01), os.utime(part), load(file, *given))[2])
    with pytest.raises(ValueError, match=r"part-1\.parquet was changed while it was read"):
        call("local")
    assert [path.name for path in tmp_path.iterdir()] == ["ratings"]


def test_arguments(tmp_path: Path) -> None:
    folder = data_set(tmp_path / "ratings")
    for words, error, given in (
        ("`engine` must be", TypeError, {"engine": "cluster"}),
        ("`item_bytes` must be", ValueError, {"item_bytes": 0}),
        ("`filesystem` must be", TypeError, {"filesystem": "s3"}),
        ("`format` must be 'auto' or 'parquet'", ValueError, {"files": folder.as_uri(), "format": "csv"}),
        ("`output` must be the path", ValueError, {"output": "s3://bucket/shards"}),
    ):
        with pytest.raises(error, match=words):
            distributed.shard(**{"files": folder, "output": tmp_path / "out", "verbose": False, **given})
    foreign = tmp_path / "out.unfinished"
    foreign.mkdir()
    (foreign / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"`output` is made in a folder of its own, but .* holds 'mine\.txt'"):
        distributed.shard(folder, tmp_path / "out", verbose=False)
    assert (foreign / "mine.txt").read_text() == "mine"
    for place in ("parts", "parts/part-00000", "shards"):
        within = tmp_path / "out.unfinished" / place / "mine.txt"
        within.parent.mkdir(parents=True, exist_ok=True)
        (foreign / "mine.txt").rename(within)
        with pytest.raises(FileExistsError, match=rf"holds '{place}/mine\.txt'; move it elsewhere"):
            distributed.shard(folder, tmp_path / "out", verbose=False)
        within.rename(foreign / "mine.txt")
