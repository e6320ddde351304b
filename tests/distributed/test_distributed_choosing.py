"""Choices by validation data over shards: those of one machine, whoever does the work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sharded import DATA, ENTRIES, MATRIX, Elsewhere, Failing, assert_same, named, without_some

import fastautorec as far
from fastautorec import distributed
from fastautorec._compute.inputs import check_user_items
from fastautorec.data._splits import held_out
from fastautorec.distributed import _engines as engines
from fastautorec.distributed._choosing import divided
from fastautorec.distributed._shards import Shards, cut_into_shards, folders_of

TRAIN, HELD = (named(without_some(part.user_items)) for part in far.split(named(MATRIX), (0.7, 0.3), by="random"))
FACTORS, PENALTIES = [2, 5, 8], [1e-3, 0.1, 3.0]

CHOICES: dict[str, Callable[[], Any]] = {
    "NCE": partial(far.NCEAutoRec, 8, regularization=PENALTIES, metric="Recall@5"),
    "AutoRec": partial(far.AutoRec, 8, init="svd", epochs=0, regularization=PENALTIES),
    "NCEPLRec": partial(far.NCEPLRec, FACTORS, regularization=PENALTIES),
    "PureSVD": partial(far.PureSVD, FACTORS),
    "EASE": partial(far.EASE, [1.0, 30.0, 300.0]),
    "NCE search": partial(far.NCEAutoRecCV, factors=[4, 8], beta=[0.9, 1.0]),
}
SEARCH = partial(far.NCEAutoRecCV, factors=[4, 8])


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    TRAIN.to_disk(tmp_path / "train")
    HELD.to_disk(tmp_path / "held")
    return tmp_path / "train", tmp_path / "held"


def figures(model: Any) -> list[dict[str, Any]]:
    """Return the records of a fit without its times."""
    return [{name: value for name, value in record.items() if name != "seconds"} for record in model.history_]


def assert_chosen_alike(one: Any, other: Any) -> None:
    assert_same(one, other)
    assert figures(one) == figures(other)
    assert getattr(one, "best_params_", None) == getattr(other, "best_params_", None)
    assert getattr(one, "cv_results_", None) == getattr(other, "cv_results_", None)


@pytest.mark.parametrize("name", CHOICES)
def test_one_shard_chooses_as_the_model_does(name: str, folders: tuple[Path, Path]) -> None:
    model = distributed.fit(CHOICES[name](), *folders)
    assert_chosen_alike(model, CHOICES[name]().fit(TRAIN, HELD))


@pytest.mark.parametrize("name", CHOICES)
def test_another_engine_chooses_the_same(name: str, folders: tuple[Path, Path]) -> None:
    here = distributed.fit(CHOICES[name](), *folders, shard_entries=ENTRIES)
    there = distributed.fit(CHOICES[name](), *folders, shard_entries=ENTRIES, engine=Elsewhere())
    assert_chosen_alike(here, there)
    one = CHOICES[name]().fit(TRAIN, HELD)
    for chosen in ("regularization_", "best_params_"):
        assert getattr(here, chosen, None) == getattr(one, chosen, None)
    if name != "EASE":
        assert here.encoder_.shape == one.encoder_.shape


def with_times() -> far.Interactions:
    times = np.random.default_rng(0).integers(1000, size=DATA.nnz)
    return far.Interactions(DATA.user_items, user_ids=DATA.user_ids, item_ids=DATA.item_ids, timestamps=times)


@pytest.mark.parametrize("data", [DATA, with_times()], ids=["at random", "the latest"])
@pytest.mark.parametrize("entries", [1 << 20, ENTRIES])
def test_what_is_held_out_is_that_of_one_machine(data: far.Interactions, entries: int, tmp_path: Path) -> None:
    data.to_disk(tmp_path / "data")
    rows = Shards(engines.Local(), cut_into_shards(folders_of("data", tmp_path / "data")[0], entries), None)
    here, there = np.random.default_rng(3), np.random.default_rng(3)
    left, held = divided(rows, there)
    whole = check_user_items("data", data)
    chosen = held_out(whole, data.timestamps, here)
    for found, expected in ((left, whole.entries(~chosen)), (held, whole.entries(chosen))):
        assert np.concatenate([one.rows().rebased().indices for one in found.shards]).tolist() == (
            expected.indices.tolist()
        )
        assert found.row_lengths().tolist() == expected.row_lengths().tolist()
    assert here.random() == there.random(), "what is drawn next is the same too"


@pytest.mark.parametrize("data", [DATA, with_times()], ids=["at random", "the latest"])
def test_a_search_holds_out_a_part_itself(data: far.Interactions, tmp_path: Path) -> None:
    data.to_disk(tmp_path / "data")
    expected = SEARCH().fit(data)
    assert_chosen_alike(distributed.fit(SEARCH(), tmp_path / "data"), expected)
    here = distributed.fit(SEARCH(), tmp_path / "data", shard_entries=ENTRIES)
    assert_chosen_alike(here, distributed.fit(SEARCH(), tmp_path / "data", shard_entries=ENTRIES, engine=Elsewhere()))
    assert here.best_params_ == expected.best_params_


def test_a_search_goes_on_from_its_passes(folder: Path, tmp_path: Path) -> None:
    expected = distributed.fit(SEARCH(), folder, shard_entries=ENTRIES)
    options: dict[str, Any] = {"shard_entries": ENTRIES, "checkpoint": tmp_path / "passes"}
    model, breaks = SEARCH(), 0
    for _ in range(10):
        try:
            distributed.fit(model, folder, engine=Failing(2), **options)
            break
        except ConnectionError:
            breaks += 1
    assert breaks == 4, "five passes of the path and five of the fit, two at a time"
    assert_chosen_alike(model, expected)
    with pytest.raises(ValueError, match="`timeout` must be None for a search with a checkpoint, got 3"):
        distributed.fit(far.NCEAutoRecCV(factors=[4, 8], timeout=3.0), folder, **options)


def test_validation_of_others_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    model = far.NCEAutoRec(8, regularization=PENALTIES)
    named(HELD.user_items[:100]).to_disk(tmp_path / "few")
    named(HELD.user_items, first=1).to_disk(tmp_path / "others")
    far.Interactions(HELD.user_items, user_ids=HELD.user_ids, item_ids=HELD.item_ids[::-1]).to_disk(tmp_path / "turned")
    empty = np.zeros(300)
    empty[0] = 1  # somebody without training data
    far.Interactions(
        sparse.csr_matrix(MATRIX.multiply(empty[:, None])), user_ids=HELD.user_ids, item_ids=HELD.item_ids
    ).to_disk(tmp_path / "nobody")
    for folder, words in (
        ("few", "`validation` must have a folder for each one of `data`"),
        ("others", r"users 0 to .*`validation` must have the users of `data` in the same rows"),
        ("turned", "`validation` must have the items of `data` in the same order"),
        ("nobody", "`validation` must hold an interaction of a user who has some in `data`"),
    ):
        with pytest.raises(ValueError, match=words):
            distributed.fit(model, folders[0], tmp_path / folder, shard_entries=ENTRIES)
    single = sparse.csr_matrix(np.eye(5, 4, dtype=np.float32))
    far.Interactions(single).to_disk(tmp_path / "single")
    with pytest.raises(ValueError, match="`data` must hold a user with 2 or more interactions"):
        distributed.fit(far.NCEAutoRecCV(factors=[2]), tmp_path / "single")
    with_times().to_disk(tmp_path / "timed")
    named(MATRIX, first=1000).to_disk(tmp_path / "timeless")
    with pytest.raises(ValueError, match="`data` must have timestamps in all folders or in none"):
        distributed.fit(SEARCH(), [tmp_path / "timed", tmp_path / "timeless"])
