"""Fits over shards: the same as on one machine, whoever does the work and in which order, and after interruptions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sharded import DATA, ENTRIES, MATRIX, MODELS, Elsewhere, Failing, Meanwhile, assert_same, named, odd, without_some

import fastautorec as far
from fastautorec import distributed
from fastautorec.distributed import _engines as engines
from fastautorec.distributed._joining import owned
from fastautorec.distributed._shards import cut_into_shards, folders_of
from fastautorec.exceptions import ModelFileError, NotFittedError


def test_it_is_imported_at_its_first_use() -> None:
    code = (
        "import sys, fastautorec as far; print('fastautorec.distributed' in sys.modules, far.distributed.fit.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "fit"]


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


# --- interruptions ----------------------------------------------------------------------------------------------------


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


def test_what_a_killed_fit_was_writing_is_removed(folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"shard_entries": ENTRIES, "checkpoint": tmp_path / "passes"}
    with pytest.raises(ConnectionError):
        distributed.fit(far.NCEAutoRec(8), folder, engine=Failing(2), **options)
    (tmp_path / "passes" / ".pass-0002.npz.5dac57b8.tmp").write_bytes(b"half")
    assert_same(
        distributed.fit(far.NCEAutoRec(8), folder, **options),
        distributed.fit(far.NCEAutoRec(8), folder, shard_entries=ENTRIES),
    )
    assert not (tmp_path / "passes").exists()


def test_one_fit_at_a_time_has_a_checkpoint(folder: Path, tmp_path: Path) -> None:
    def second() -> None:
        with pytest.raises(FileExistsError, match=r"another call is using .*; wait for it, or name another `checkpo"):
            distributed.fit(far.NCEAutoRec(8), folder, checkpoint=tmp_path / "passes")

    engine = Meanwhile(second)
    distributed.fit(far.NCEAutoRec(8), folder, engine=engine, checkpoint=tmp_path / "passes")
    assert engine.passes > 2
    with pytest.raises(ValueError, match="use fewer factors"):
        distributed.fit(far.NCEAutoRec(1000), folder, checkpoint=tmp_path / "passes")
    assert not (tmp_path / "passes").exists(), "a fit that is refused leaves nothing"
