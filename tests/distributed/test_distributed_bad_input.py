"""What is refused of data, engines and workers of a fit over shards."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sharded import DATA, ENTRIES, MATRIX, Failing, Meanwhile, named

import fastautorec as far
from fastautorec import distributed
from fastautorec.distributed import _engines as engines
from fastautorec.exceptions import ModelFileError


def test_only_sums_over_users_travel(folder: Path) -> None:
    for model in (far.NSAutoRec(8), far.NCEAutoRec(8, epochs=2, mode="joint"), far.AutoRec(8, epochs=1), far.DLAE()):
        with pytest.raises(ValueError, match="must be an exact solution from sums over users"):
            distributed.fit(model, folder)
    with pytest.raises(ValueError, match=r"2 values to choose from.*validation="):
        distributed.fit(far.NCEAutoRec(8, regularization=[1.0, 2.0]), folder)
    with pytest.raises(ValueError, match="`device` must be 'auto' or 'cpu'"):
        distributed.fit(far.NCEAutoRec(8, device="cuda"), folder)
    with pytest.raises(TypeError, match="`model` must be a recommender"):
        distributed.fit("NCEAutoRec", folder)


@pytest.mark.parametrize("engine", ["dask", None, 3, far])
def test_what_is_no_engine(engine: Any, folder: Path) -> None:
    with pytest.raises(TypeError, match=r"`engine` must be 'local', a distributed\.Client"):
        distributed.fit(far.Popularity(), folder, engine=engine)


def test_an_engine_that_is_closed(folder: Path) -> None:
    client = type("Client", (), {"__module__": "distributed.client", "status": "closed"})()
    stopped = type("SparkContext", (), {"_jsc": None})()
    session = type("SparkSession", (), {"__module__": "pyspark.sql.session", "sparkContext": stopped})()
    for engine, words in ((client, r"distributed\.Client that was closed"), (session, "SparkSession that was stopped")):
        with pytest.raises(ValueError, match=rf"`engine` must be .* got a {words}"):
            distributed.fit(far.Popularity(), folder, engine=engine)


def test_what_is_no_folder(folder: Path, tmp_path: Path) -> None:
    for wrong, words in (([], "must be a folder"), (3, "must be a folder"), (DATA, "must be on disk")):
        with pytest.raises(TypeError, match=words):
            distributed.fit(far.Popularity(), wrong)
    with pytest.raises(FileNotFoundError, match="no interactions at"):
        distributed.fit(far.Popularity(), [folder, tmp_path / "nothing"])
    (tmp_path / "link").symlink_to(folder)
    for again in (folder, tmp_path / "link", tmp_path / ".." / tmp_path.name / "data"):
        with pytest.raises(ValueError, match="name each folder once"):
            distributed.fit(far.Popularity(), [folder, again])
    DATA.to_disk(tmp_path / "copy")
    with pytest.raises(ValueError, match=r"the data of a user once, but .*copy is a copy of .*data"):
        distributed.fit(far.Popularity(), [folder, tmp_path / "copy"])
    far.Interactions(MATRIX[:, :30]).to_disk(tmp_path / "narrow")
    named(MATRIX).with_items(DATA.item_ids[::-1]).to_disk(tmp_path / "reversed")
    far.Interactions(sparse.csr_matrix((5, 40), dtype=np.float32)).to_disk(tmp_path / "empty")
    bare, other = far.Interactions(MATRIX), [*DATA.item_ids[:-1].tolist(), "something"]
    bare.to_disk(tmp_path / "bare")
    for name, ids in (("other", other), ("numbers", range(40))):
        far.Interactions(MATRIX, item_ids=ids).to_disk(tmp_path / name)
    for name, words in {
        "narrow": r"but .*narrow has 30 and .*data 40 of them",
        "reversed": r"but item 0 is 'item 39' in .*reversed and 'item 0' in .*data: write it again",
        "other": r"but item 39 is 'something' in .*other and 'item 39' in .*data",
        "numbers": r"but item 0 is 0 in .*numbers and 'item 0' in .*data",
        "bare": r"but those of .*data have ids and those of .*bare none",
    }.items():
        with pytest.raises(ValueError, match=f"folders with the same items in the same order, {words}"):
            distributed.fit(far.Popularity(), [folder, tmp_path / name])
    with pytest.raises(ValueError, match="folders with interactions, got none"):
        distributed.fit(far.Popularity(), tmp_path / "empty")


def test_a_folder_that_changes_between_passes(folder: Path) -> None:
    model = far.NCEAutoRec(8).fit(DATA)
    before = model.decoder_.copy()
    replace = partial(named(MATRIX).to_disk, folder, overwrite=True)
    with pytest.raises(ValueError, match=r"users 0 to .*it was replaced meanwhile"):
        distributed.fit(model, folder, engine=Meanwhile(replace), shard_entries=ENTRIES)
    DATA.to_disk(folder, overwrite=True)
    with pytest.raises(FileNotFoundError, match=r"users 0 to .* cannot be read on .*at the same path on every worker"):
        distributed.fit(model, folder, engine=Meanwhile(lambda: folder.rename(folder.parent / "moved")))
    np.testing.assert_array_equal(model.decoder_, before, err_msg="a fit that fails changes nothing")


def other_data_of_the_same_size() -> far.Interactions:
    return far.Interactions(DATA.user_items[:, ::-1].tocsr(), user_ids=DATA.user_ids, item_ids=DATA.item_ids)


def test_a_folder_of_the_same_size_in_the_place_of_another(folder: Path, tmp_path: Path) -> None:
    replace = partial(other_data_of_the_same_size().to_disk, folder, overwrite=True)
    with pytest.raises(ValueError, match=r"it was replaced meanwhile"):
        distributed.fit(far.NCEAutoRec(8), folder, engine=Meanwhile(replace), shard_entries=ENTRIES)
    options: dict[str, Any] = {"shard_entries": ENTRIES, "checkpoint": tmp_path / "passes"}
    with pytest.raises(ConnectionError):
        distributed.fit(far.NCEAutoRec(8), folder, engine=Failing(2), **options)
    DATA.to_disk(folder, overwrite=True)
    with pytest.raises(ModelFileError, match="its training data differ"):
        distributed.fit(far.NCEAutoRec(8), folder, **options)

    class Between(engines.Local):
        def map(self, work: Any, shards: Any, state: Any) -> list[Any]:
            first = super().map(work, shards[:1], state)
            other_data_of_the_same_size().to_disk(tmp_path / "test", overwrite=True)
            return first + super().map(work, shards[1:], state)

    DATA.to_disk(tmp_path / "test")
    with pytest.raises(ValueError, match=r"the folder has .* it was replaced meanwhile"):
        distributed.evaluate(
            far.Popularity().fit(DATA), folder, tmp_path / "test", engine=Between(), shard_entries=ENTRIES
        )


def test_an_engine_that_loses_results(folder: Path) -> None:
    class Forgetting(engines.Local):
        def map(self, work: Any, shards: Any, state: Any) -> list[Any]:
            return super().map(work, shards[1:], state)

    class Adding(engines.Local):
        def reduce(self, work: Any, shards: Any, state: Any) -> Any:
            return super().reduce(work, shards[1:], state)

    class Repeating(engines.Local):
        def reduce(self, work: Any, shards: Any, state: Any) -> Any:
            return super().reduce(work, [*shards[:-1], shards[0]], state)

    class Turning(engines.Local):
        def map(self, work: Any, shards: Any, state: Any) -> list[Any]:
            return super().map(work, shards, state)[::-1]

    class Nothing(engines.Local):
        def reduce(self, work: Any, shards: Any, state: Any) -> Any:
            return None

    for engine, words in (
        (
            Forgetting(),
            r"`engine`\.map must return a list with one result for each of the 8 shards, .* got 7 that are others",
        ),
        (Turning(), r"`engine`\.map must return a list .*, in their order, got 8 that are others"),
        (Repeating(), r"`engine`\.reduce must return the sum .* got that of 8, not each once"),
        (Adding(), r"`engine`\.reduce must return the sum .* each of the 8 shards, .* got that of 7, not each once"),
        (Nothing(), r"`engine`\.reduce must return the sum .* got NoneType"),
    ):
        with pytest.raises(ValueError, match=words):
            distributed.fit(far.NCEAutoRec(8), folder, engine=engine, shard_entries=ENTRIES)


def test_a_worker_with_another_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastautorec.distributed import _shards

    class Old(engines.Local):
        def map(self, work: Any, shards: Any, state: Any) -> list[Any]:
            with monkeypatch.context() as there:
                there.setattr(_shards, "__version__", "0.0.1")
                return super().map(work, shards, state)

    with pytest.raises(ValueError, match=r"a worker with fastautorec 0\.0\.1 .*install the same on all"):
        distributed.fit(far.Popularity(), folder, engine=Old())


def test_spark_that_ends_during_the_work(folder: Path) -> None:
    """As it does where Java has too little memory: what cannot be cleaned up any more must not hide that."""

    def fail(*given: Any) -> Any:
        raise OSError("Job 0 cancelled because SparkContext was shut down")

    rows = SimpleNamespace(map=lambda work: SimpleNamespace(collect=fail))
    ended = iter([False, True, True])
    java = SimpleNamespace(sc=lambda: SimpleNamespace(isStopped=lambda: next(ended)))
    context = SimpleNamespace(
        _jsc=java, defaultParallelism=2, broadcast=lambda state: SimpleNamespace(destroy=fail),
        parallelize=lambda items, count: rows,
    )  # fmt: skip
    session = type("SparkSession", (), {"__module__": "pyspark.sql.session", "sparkContext": context})()
    with pytest.raises(RuntimeError, match=r"ended during the work.*spark\.driver\.memory") as raised:
        distributed.fit(far.Popularity(), folder, engine=session)
    assert isinstance(raised.value.__cause__, OSError)
