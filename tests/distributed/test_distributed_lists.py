"""Lists and evaluations over shards are those of one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sharded import DATA, ENTRIES, MATRIX, Elsewhere, named, without_some

import fastautorec as far
from fastautorec import distributed
from fastautorec.distributed import _engines as engines


@pytest.mark.parametrize("engine", ["local", Elsewhere()], ids=["local", "elsewhere"])
@pytest.mark.parametrize("definition", ["standard", "paper"])
def test_reports_are_those_of_one_machine(engine: Any, definition: str, tmp_path: Path) -> None:
    train, test = far.split(named(MATRIX), (0.7, 0.3), by="random")
    mixed = test.user_items + train.user_items.multiply(sparse.random(300, 40, 0.02, random_state=1) > 0)
    test = named(sparse.csr_matrix(mixed > 0, dtype=np.float32))
    train, test = named(without_some(train.user_items)), named(test.user_items)
    train.to_disk(tmp_path / "train")
    test.to_disk(tmp_path / "test")
    model = far.NCEAutoRec(8).fit(train)
    report = distributed.evaluate(
        model, tmp_path / "train", tmp_path / "test", (5, 10), definition, engine=engine, shard_entries=ENTRIES
    )
    expected = far.evaluate(model, train, test, (5, 10), definition)
    assert str(report) == str(expected)
    assert report.notes == expected.notes
    assert "also in `train`" in "".join(report.notes)
    assert report.n_without_train == expected.n_without_train == 4
    for name in expected:
        np.testing.assert_array_equal(report[name].per_user, expected[name].per_user)
    for name in ("users", "heads", "item_popularity", "history_lengths", "n_test_items"):
        np.testing.assert_array_equal(getattr(report, name), getattr(expected, name), err_msg=name)
    assert str(report.at(5)) == str(expected.at(5))
    knowing = far.NCEAutoRec(8).fit(far.Interactions(sparse.csr_matrix(train.user_items + test.user_items > 0)))
    knowing.item_ids_ = model.item_ids_
    told = distributed.evaluate(knowing, tmp_path / "train", tmp_path / "test", 5, engine=engine, shard_entries=ENTRIES)
    assert told.notes == far.evaluate(knowing, train, test, 5).notes
    assert "it knows what it is tested on" in told.notes[-1]
    test.with_items(test.item_ids[::-1]).to_disk(tmp_path / "turned")
    turned = distributed.evaluate(
        knowing, tmp_path / "train", tmp_path / "turned", 5, engine=engine, shard_entries=ENTRIES
    )
    assert str(turned) == str(told)


def test_lists_are_those_of_one_machine(folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    model = far.NCEAutoRec(8).fit(DATA)
    files = distributed.recommend(model, folder, tmp_path / "lists", N=5, engine=Elsewhere(), shard_entries=ENTRIES)
    assert len(files) == len(list((tmp_path / "lists").iterdir())) > 4
    found = pa.concat_tables([parquet.read_table(file) for file in files])
    assert found.equals(model.recommend_table(DATA, 5).to_arrow())
    with pytest.raises(FileExistsError, match="must be a new or an empty folder"):
        distributed.recommend(model, folder, tmp_path / "lists")
    with pytest.raises(FileNotFoundError, match=r"`output`=.* in a folder that does not exist"):
        distributed.recommend(model, folder, tmp_path / "nowhere" / "lists")
    with pytest.raises(ValueError, match="`data` has 40 columns but the model was fitted on 30 items"):
        distributed.recommend(far.Popularity().fit(MATRIX[:, :30]), folder, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "lists"]


@pytest.mark.parametrize("engine", ["local", Elsewhere()], ids=["local", "elsewhere"])
def test_lists_for_some_users(engine: Any, folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    model, options = far.EASE().fit(DATA), {"N": 5, "engine": engine, "shard_entries": ENTRIES}
    whole = distributed.recommend(model, folder, tmp_path / "whole", **options)
    some = DATA.user_ids[[250, 3, 4, 299]].tolist()
    files = distributed.recommend(model, folder, tmp_path / "some", users=some, **options)
    assert 1 < len(files) == len(list((tmp_path / "some").iterdir())) < len(whole)
    found = pa.concat_tables([parquet.read_table(file) for file in files])
    ordered = [user for user in DATA.user_ids.tolist() if user in some]
    assert found.equals(model.recommend_table(DATA, 5, users=ordered).to_arrow())
    one = distributed.recommend(model, folder, tmp_path / "one", users=some[0], **options)
    assert parquet.read_table(one[0])["user"].to_pylist() == some[:1] * 5
    for error, text, users in (
        (
            ValueError,
            "but 2 of 3 are not among its 300, such as 'nobody'; model.recommend_table",
            ["nobody", some[0], "x"],
        ),
        (ValueError, "must name a user at least, got none", []),
        (ValueError, "must be distinct, got", some[:1] * 2),
        (ValueError, "got None in the place of one", [None]),
        (TypeError, "the ids in `users` are integers, such as 5, those of `data` texts", 5),
        (TypeError, r"`users` must be ids of users, got a dict; of a dict by user pass list\(users\)", {some[0]: [1]}),
    ):
        with pytest.raises(error, match=text):
            distributed.recommend(model, folder, tmp_path / "wrong", users=users, **options)
    assert not (tmp_path / "wrong").exists()


def test_lists_are_there_when_all_are(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    model, output = far.Popularity().fit(DATA), tmp_path / "lists"

    class Broken(engines.Local):
        def map(self, work: Any, shards: Any, state: Any) -> list[Any]:
            super().map(work, shards[:3], state)
            raise ConnectionError("the cluster is gone")

    with pytest.raises(ConnectionError):
        distributed.recommend(model, folder, output, engine=Broken(), shard_entries=ENTRIES)
    assert not output.exists()
    files = distributed.recommend(model, folder, output, N=3, shard_entries=3 * ENTRIES)
    assert files == sorted(output.iterdir())
    assert not output.with_name("lists.unfinished").exists()


def test_users_without_ids_are_numbered_through_all_folders(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for name, rows in (("a", MATRIX[:100]), ("b", MATRIX[100:])):
        far.Interactions(rows).to_disk(tmp_path / name)
    files = distributed.recommend(
        far.Popularity().fit(MATRIX), [tmp_path / "a", tmp_path / "b"], tmp_path / "lists", N=1, shard_entries=ENTRIES
    )
    users = [user for file in files for user in parquet.read_table(file)["user"].to_pylist()]
    assert users == list(range(300))
    files = distributed.recommend(
        far.Popularity().fit(MATRIX), [tmp_path / "a", tmp_path / "b"], tmp_path / "some", N=1, users=[250, 7]
    )
    assert [user for file in files for user in parquet.read_table(file)["user"].to_pylist()] == [7, 250]


def test_nothing_to_test_in_one_of_the_folders(tmp_path: Path) -> None:
    train, test = far.split(named(MATRIX), (0.7, 0.3), by="random")
    none = sparse.csr_matrix((150, 40), dtype=np.float32)
    later = sparse.vstack([test.user_items[:150], none], "csr")
    parts = {"a": train.user_items[:150], "b": train.user_items[150:], "later a": later[:150], "later b": none}
    for name, rows in parts.items():
        named(rows, 150 * name.endswith("b")).to_disk(tmp_path / name)
    model, paths = far.NCEAutoRec(8).fit(train), [tmp_path / name for name in parts]
    report = distributed.evaluate(model, paths[:2], paths[2:], 5, shard_entries=ENTRIES)
    expected = far.evaluate(model, train, named(later), 5)
    assert str(report) == str(expected)
    np.testing.assert_array_equal(report["NDCG"].per_user, expected["NDCG"].per_user)
    assert distributed.fit(far.NCEAutoRec(8, regularization=[1.0, 2.0]), paths[:2], paths[2:]).n_users_ == 300
    with pytest.raises(ValueError, match="must have a user with items in both, got none in any shard"):
        distributed.evaluate(model, paths[1], paths[3])


def test_a_test_set_of_other_users_is_refused(folder: Path, tmp_path: Path) -> None:
    model = far.Popularity().fit(DATA)
    named(MATRIX[:100]).to_disk(tmp_path / "few")
    with pytest.raises(ValueError, match="a folder for each one of `train`"):
        distributed.evaluate(model, folder, tmp_path / "few")
    named(MATRIX, first=1).to_disk(tmp_path / "others")
    for entries in (ENTRIES, 1 << 20):
        with pytest.raises(ValueError, match=r"users 0 to .*the users of `train` in the same rows"):
            distributed.evaluate(model, folder, tmp_path / "others", shard_entries=entries)
    for wrong in ({"k": 1000}, {"k": 0}, {"definition": "x"}):
        with pytest.raises(ValueError, match=r"^`(k|definition)` must"):
            distributed.evaluate(model, folder, folder, **wrong)


def test_lists_take_no_folder_of_others(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    model, room = far.Popularity().fit(DATA), tmp_path / "lists.unfinished"
    room.mkdir()
    for name in ("part-00000-5f2c.snappy.parquet", "call.json"):
        (room / name).write_text("of others")
        with pytest.raises(FileExistsError, match=r"`output` is made in a folder of its own, but .* holds"):
            distributed.recommend(model, folder, tmp_path / "lists")
        assert (room / name).read_text() == "of others"
        (room / name).unlink()
    (room / "part-00099.parquet").touch()
    (room / ".part-00000.parquet.5dac57b8.tmp").touch()
    files = distributed.recommend(model, folder, tmp_path / "lists")
    assert files == list((tmp_path / "lists").iterdir())


def test_one_call_at_a_time_makes_lists(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    model = far.Popularity().fit(DATA)

    class Twice(engines.Local):
        def map(self, work: Any, shards: Any, state: Any) -> list[Any]:
            done = super().map(work, shards, state)
            with pytest.raises(FileExistsError, match=r"another call is using .*lists\.unfinished"):
                distributed.recommend(model, folder, tmp_path / "lists")
            return done

    files = distributed.recommend(model, folder, tmp_path / "lists", engine=Twice(), shard_entries=ENTRIES)
    assert len(files) == 8
    assert files == sorted((tmp_path / "lists").iterdir())
