"""Fits, lists and evaluations over shards: the same as on one machine, whoever does the work and in which order."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec import distributed
from fastautorec.distributed import _engines as engines
from fastautorec.distributed._joining import owned
from fastautorec.distributed._shards import cut_into_shards, folders_of
from fastautorec.exceptions import ModelFileError, NotFittedError

ENTRIES = 400  # of a shard: eight shards, the last of them with few users
MATRIX = far.datasets.synthetic(300, 40, 3000, random_state=0)


def named(matrix: sparse.csr_matrix, first: int = 0) -> far.Interactions:
    """Return the interactions of some users, one in the middle of whom has none."""
    users = [f"user {number}" for number in range(first, first + matrix.shape[0])]
    return far.Interactions(matrix, user_ids=users, item_ids=[f"item {number}" for number in range(matrix.shape[1])])


def without_some(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    keep = np.ones(matrix.shape[0])
    keep[[0, 7, 150, 299]] = 0
    kept = sparse.csr_matrix(matrix.multiply(keep[:, None]))
    kept.eliminate_zeros()
    return kept


DATA = named(without_some(MATRIX))

MODELS: dict[str, Callable[[], Any]] = {
    "NCE": partial(far.NCEAutoRec, 8),
    "NCE tanh": partial(far.NCEAutoRec, 8, activation="tanh", regularization=0.1),
    "NCE relu updatable": partial(far.NCEAutoRec, 8, activation="relu", updatable=True),
    "NCE joint": partial(far.NCEAutoRec, 8, mode="joint"),
    "AutoRec": partial(far.AutoRec, 8, init="svd", epochs=0),
    "NCEPLRec": partial(far.NCEPLRec, 8),
    "PureSVD": partial(far.PureSVD, 8),
    "EASE": partial(far.EASE, 10),
    "EASE updatable": partial(far.EASE, 10, updatable=True),
    "Popularity": far.Popularity,
}


def arrays_of(model: Any) -> dict[str, Any]:
    own = {name: getattr(model, name) for name in (*model._arrays, "item_counts_", "item_ids_")}
    return own | (model.sums_ or {})


def assert_same(one: Any, other: Any) -> None:
    ours, theirs = arrays_of(one), arrays_of(other)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    assert (one.n_users_, one.n_items_) == (other.n_users_, other.n_items_)


class Elsewhere:
    """An engine as others are: all that travels is pickled, arrays arrive read-only at odd addresses, and shards are
    worked on from the last to the first, one of them twice."""

    def _sent(self, value: Any) -> Any:
        return pickle.loads(pickle.dumps(value))

    def map(self, work: Any, shards: Any, state: Any) -> list[Any]:
        done: dict[int, Any] = {}
        for number in [*reversed(range(len(shards))), 0]:
            done[number] = self._sent(self._sent(work)(self._sent(shards[number]), odd(self._sent(state))))
        return [odd(done[number]) for number in range(len(shards))]

    def reduce(self, work: Any, shards: Any, state: Any) -> Any:
        return odd(distributed.tree(self.map(work, shards, state)))


def odd(value: Any) -> Any:
    """Return the same value with arrays that are read-only and not aligned."""
    if isinstance(value, np.ndarray) and value.ndim:
        room = np.empty(value.nbytes + 1, np.uint8)[1:]
        copy = room.view(value.dtype) if value.dtype.itemsize == 1 else np.ndarray(value.shape, value.dtype, room.data)
        copy = copy.reshape(value.shape)
        copy[...] = value
        copy.flags.writeable = False
        return copy
    return type(value)(map(odd, value)) if type(value) in (tuple, list) else value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    DATA.to_disk(tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize("name", MODELS)
def test_one_shard_is_the_fit_of_the_model(name: str, folder: Path) -> None:
    model = distributed.fit(MODELS[name](), folder)
    assert_same(model, MODELS[name]().fit(DATA))


@pytest.mark.parametrize("name", MODELS)
def test_shards_give_the_same_model_to_rounding(name: str, folder: Path) -> None:
    model, expected = distributed.fit(MODELS[name](), folder, shard_entries=ENTRIES), MODELS[name]().fit(DATA)
    scores, wanted = model.predict(DATA), expected.predict(DATA)
    np.testing.assert_allclose(scores, wanted, atol=2e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("name", MODELS)
def test_another_engine_gives_the_same_bits(name: str, folder: Path) -> None:
    here = distributed.fit(MODELS[name](), folder, shard_entries=ENTRIES)
    there = distributed.fit(MODELS[name](), folder, shard_entries=ENTRIES, engine=Elsewhere())
    assert_same(here, there)
    assert there.recommend(DATA)[0].shape == (300, 10)


def test_several_folders_are_one_after_the_other(tmp_path: Path) -> None:
    matrix = without_some(MATRIX)
    named(matrix[:130]).to_disk(tmp_path / "a")
    named(matrix[130:], 130).to_disk(tmp_path / "b")
    paths = [tmp_path / "a", far.Interactions.open(tmp_path / "b")]
    model = distributed.fit(far.NCEAutoRec(8, activation="tanh"), paths, shard_entries=ENTRIES)
    expected = far.NCEAutoRec(8, activation="tanh").fit(DATA)
    np.testing.assert_allclose(model.predict(DATA), expected.predict(DATA), atol=1e-4)
    assert model.n_users_ == expected.n_users_
    assert model.item_ids_.tolist() == DATA.item_ids.tolist()


def test_borders_belong_to_the_data(folder: Path) -> None:
    matrices, _ = folders_of("data", folder)
    shards = cut_into_shards(matrices, ENTRIES)
    assert [shard.start for shard in shards[1:]] == [shard.stop for shard in shards[:-1]]
    assert (shards[0].start, shards[-1].stop) == (0, 300)
    lengths = [shard.rows().nnz for shard in shards]
    assert sum(lengths) == DATA.nnz
    assert max(lengths) < 1.2 * ENTRIES
    assert min(lengths) > 0
    assert len(cut_into_shards(matrices, 1)) <= 296, "a shard has at least one user with interactions"


def test_the_tree_is_that_of_the_number_of_parts() -> None:
    for count in range(1, 40):
        parts = [(f"{number} ",) for number in range(count)]
        joined = distributed.tree(parts, lambda a, b: (f"({a[0]}{b[0]})",))
        texts = engines.Local().reduce(lambda part, _: Text(part[0]), parts, ())
        assert texts.text == joined[0]


class Text:
    """What `join` adds up, to see in which order."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __add__(self, other: Text) -> Text:
        return Text(f"({self.text}{other.text})")


def test_joining_changes_no_part() -> None:
    first, second = np.ones(3), (np.ones(2), np.ones(1))
    first.flags.writeable = False
    engines.join(first, first)
    engines.join(second, second)
    assert second[0].tolist() == [1, 1]
    given = odd(np.arange(5.0))
    assert not given.flags.aligned
    assert not given.flags.writeable
    own = owned((given, [given]))[1][0]
    assert own.flags.aligned
    assert own.flags.writeable
    assert own.tolist() == given.tolist()


# --- evaluation and lists ---------------------------------------------------------------------------------------------


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


# --- interruptions ----------------------------------------------------------------------------------------------------


class Failing(engines.Local):
    """An engine that breaks in the n-th pass."""

    def __init__(self, passes: int) -> None:
        self.left = passes

    def reduce(self, work: Any, shards: Any, state: Any) -> Any:
        if not self.left:
            raise ConnectionError("the cluster is gone")
        self.left -= 1
        return super().reduce(work, shards, state)


@pytest.mark.parametrize("name", ["NCE", "NCE relu updatable", "PureSVD", "EASE"])
def test_a_fit_goes_on_from_its_passes(name: str, folder: Path, tmp_path: Path) -> None:
    expected = distributed.fit(MODELS[name](), folder, shard_entries=ENTRIES)
    options: dict[str, Any] = {"shard_entries": ENTRIES, "checkpoint": tmp_path / "passes"}
    breaks = 0
    for attempt in range(20):
        model = MODELS[name]()
        try:
            distributed.fit(model, folder, engine=Failing(1), **options)
            break
        except ConnectionError:
            breaks += 1
            assert len(list((tmp_path / "passes").iterdir())) == attempt + 1
            with pytest.raises(NotFittedError):
                model.recommend(DATA)
    assert breaks == {"EASE": 0, "PureSVD": 7}.get(name, 4)
    assert_same(model, expected)
    assert not (tmp_path / "passes").exists()


@pytest.mark.parametrize(("name", "passes"), [("NCE", 5), ("PureSVD", 8), ("EASE", 1), ("Popularity", 0)])
def test_a_bar_moves_with_each_pass(
    name: str, passes: int, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"shard_entries": ENTRIES, "checkpoint": tmp_path / "passes", "show_progress": True}
    if passes > 1:
        with pytest.raises(ConnectionError):
            distributed.fit(MODELS[name](), folder, engine=Failing(1), **options)
        assert "2 steps" in capsys.readouterr().err, "counting and a pass"
    distributed.fit(MODELS[name](), folder, **options)
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"{passes + 1} steps" in last, "passes that were kept count too"


def test_passes_of_another_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"shard_entries": ENTRIES, "checkpoint": tmp_path / "passes"}
    with pytest.raises(ConnectionError):
        distributed.fit(far.NCEAutoRec(8), folder, engine=Failing(2), **options)
    with pytest.raises(ModelFileError, match="its parameters differ"):
        distributed.fit(far.NCEAutoRec(9), folder, **options)
    with pytest.raises(ModelFileError, match="its training data differ"):
        distributed.fit(far.NCEAutoRec(8), folder, checkpoint=tmp_path / "passes")
    first = tmp_path / "passes" / "pass-0000.npz"
    first.write_bytes(first.read_bytes()[:100])
    with pytest.raises(ModelFileError, match="truncated or damaged"):
        distributed.fit(far.NCEAutoRec(8), folder, **options)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").touch()
    with pytest.raises(FileExistsError, match=r"a folder of its own, but .* holds 'notes'"):
        distributed.fit(far.NCEAutoRec(8), folder, checkpoint=tmp_path / "full")
    for wrong in (3, ""):
        with pytest.raises(TypeError, match="`checkpoint` must be the path of a folder"):
            distributed.fit(far.NCEAutoRec(8), folder, checkpoint=wrong)
    with pytest.raises(NotADirectoryError, match="must be a folder"):
        distributed.fit(far.NCEAutoRec(8), folder, checkpoint=first)


# --- bad input --------------------------------------------------------------------------------------------------------


def test_only_sums_over_users_travel(folder: Path) -> None:
    for model in (far.NSAutoRec(8), far.NCEAutoRec(8, epochs=2, mode="joint"), far.AutoRec(8, epochs=1), far.DLAE()):
        with pytest.raises(ValueError, match="must be an exact solution from sums over users"):
            distributed.fit(model, folder)
    with pytest.raises(ValueError, match="2 values to choose from"):
        distributed.fit(far.NCEAutoRec(8, regularization=[1.0, 2.0]), folder)
    with pytest.raises(ValueError, match="`device` must be 'auto' or 'cpu'"):
        distributed.fit(far.NCEAutoRec(8, device="cuda"), folder)
    with pytest.raises(TypeError, match="`model` must be a recommender"):
        distributed.fit("NCEAutoRec", folder)


@pytest.mark.parametrize("engine", ["dask", None, 3, far])
def test_what_is_no_engine(engine: Any, folder: Path) -> None:
    with pytest.raises(TypeError, match=r"`engine` must be 'local', a distributed\.Client"):
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
    far.Interactions(MATRIX[:, :30]).to_disk(tmp_path / "narrow")
    named(MATRIX).with_items(DATA.item_ids[::-1]).to_disk(tmp_path / "reversed")
    far.Interactions(sparse.csr_matrix((5, 40), dtype=np.float32)).to_disk(tmp_path / "empty")
    for other in ("narrow", "reversed"):
        with pytest.raises(ValueError, match="folders with the same items in the same order"):
            distributed.fit(far.Popularity(), [folder, tmp_path / other])
    with pytest.raises(ValueError, match="folders with interactions, got none"):
        distributed.fit(far.Popularity(), tmp_path / "empty")


class Meanwhile(engines.Local):
    """An engine during whose second pass something happens to the folder."""

    def __init__(self, event: Callable[[], Any]) -> None:
        self.passes, self.event = 0, event

    def reduce(self, work: Any, shards: Any, state: Any) -> Any:
        self.passes += 1
        if self.passes == 2:
            self.event()
        return super().reduce(work, shards, state)


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

    class Nothing(engines.Local):
        def reduce(self, work: Any, shards: Any, state: Any) -> Any:
            return None

    for engine, words in (
        (Forgetting(), r"`engine`\.map must return a list with one result for each of the 8 shards, .* got 7"),
        (Adding(), r"`engine`\.reduce must return the sum .* each of the 8 shards, .* got that of 7"),
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
