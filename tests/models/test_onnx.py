"""ONNX files give the lists of ``recommend``, for every model that has a graph; the others say why they have none."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lanes import keeping
from scipy import sparse

import fastautorec as far
from fastautorec.models import _onnx

TRAIN = far.datasets.synthetic(120, 60, 1500, random_state=1)
NAMES = [f"item {j}" for j in range(60)]
MODELS: dict[str, Any] = {
    "NCEAutoRec": far.NCEAutoRec(factors=8, popularity_discount=0.2),
    "NCEAutoRec relu": far.NCEAutoRec(factors=8, activation="relu", intercept="constant"),
    "NCEAutoRec paper": far.NCEAutoRec.paper(factors=8, epochs=2, activation="tanh"),
    "NCEAutoRecCV": far.NCEAutoRecCV(factors=8, beta=1.0, target="nce"),
    "AutoRec": far.AutoRec(factors=8, epochs=2, activation="sigmoid", fit_intercept=False),
    "NCEPLRec": far.NCEPLRec(factors=8),
    "PureSVD": far.PureSVD(factors=8),
    "EASE": far.EASE(),
    "DLAE": far.DLAE(),
    "DLAECV": far.DLAECV(regularization=4.0, denoising=1.0, prior=3.0, input_weight=0.25, target_weight=0.25),
    "ItemKNN": far.ItemKNN(),
    "RP3beta": far.RP3beta(),
    "Popularity": far.Popularity(),
}
with_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime")),
    reason="onnx and onnxruntime are not installed",
)


def answers(path: Path, histories: Any) -> tuple[Any, Any]:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return tuple(session.run(["ids", "scores"], {"history": np.asarray(histories, np.int64)}))


def padded(matrix: sparse.csr_matrix) -> Any:
    rows = [row.indices for row in matrix]
    return [[*row, *[-1] * (max(map(len, rows)) - len(row))] for row in rows]


def agree(own: tuple[Any, Any], other: tuple[Any, Any], full: Any) -> None:
    """Assert equal scores, and that each item has its score in the model."""
    (ids, scores), (found, values) = own, other
    np.testing.assert_array_equal(ids < 0, found < 0)
    np.testing.assert_allclose(values, scores, rtol=1e-5, atol=1e-6)
    listed = np.where(found < 0, np.nan, np.take_along_axis(full, np.maximum(found, 0), axis=1))
    np.testing.assert_allclose(values, listed, rtol=1e-5, atol=1e-6)


@with_onnx
@pytest.mark.parametrize("name", keeping(["NCEAutoRec", "NCEAutoRec relu", "NCEPLRec", "EASE", "Popularity"], MODELS))
def test_gives_the_lists_of_recommend(name: str, tmp_path: Path) -> None:
    model, path = MODELS[name].fit(far.Interactions(TRAIN, item_ids=NAMES)), tmp_path / "model.onnx"
    model.to_onnx(path, N=7)
    agree(model.recommend(TRAIN, N=7), answers(path, padded(TRAIN)), model.predict(TRAIN))
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


@with_onnx
@pytest.mark.parametrize("name", ["NCEAutoRec", "DLAE", "ItemKNN"])  # DLAE has two chains of sums
@pytest.mark.parametrize("shape", [(0, 3), (0, 0), (2, 0)])
def test_empty_batches(name: str, shape: tuple[int, int], tmp_path: Path) -> None:
    model, path = MODELS[name].fit(TRAIN), tmp_path / "model.onnx"
    model.to_onnx(path, N=7)
    none = sparse.csr_matrix((shape[0], 60))
    agree(model.recommend(none, N=7), answers(path, np.empty(shape)), model.predict(none))


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("", ValueError, "`path` must be a path with a name and without NUL characters, got ''"),
        ("a\0b", ValueError, r"without NUL characters, got 'a\\x00b'"),
        (None, TypeError, r"`path` must be a path \(str or pathlib.Path\), got NoneType"),
        (b"x", TypeError, r"`path` must be a path \(str or pathlib.Path\), got bytes"),
    ],
)
def test_paths_that_are_none(path: Any, error: type[Exception], message: str) -> None:
    model = far.PureSVD(factors=8).fit(TRAIN)
    for use in (model.to_onnx, model.save, far.load):
        with pytest.raises(error, match=message):
            use(path)


@with_onnx
def test_known_items_and_another_discount(tmp_path: Path) -> None:
    model, path = MODELS["NCEAutoRec"].fit(TRAIN), tmp_path / "model.onnx"
    model.to_onnx(path, N=60, filter_already_liked_items=False, popularity_discount=0.6, histories=TRAIN[:9])
    own = model.recommend(TRAIN, N=60, filter_already_liked_items=False, popularity_discount=0.6)
    agree(own, answers(path, padded(TRAIN)), model.predict(TRAIN, popularity_discount=0.6))


@with_onnx
def test_lists_that_run_out_and_histories_that_say_nothing(tmp_path: Path) -> None:
    dense = TRAIN.toarray()
    dense[:, [3, 17]] = 0
    model, path = far.PureSVD(factors=8).fit(sparse.csr_matrix(dense)), tmp_path / "model.onnx"
    model.to_onnx(path)
    histories = sparse.lil_matrix((4, 60))
    histories[1, [3, 17]] = 1
    histories[2, :55] = 1
    histories[3, 5] = 1
    histories = histories.tocsr()
    own = model.recommend(histories)
    assert (own[0][2] < 0).any()
    assert own[1][0, 0] == np.float32(model.item_counts_.max() / model.n_users_)
    agree(own, answers(path, padded(histories)), model.predict(histories))


@with_onnx
def test_what_is_no_item_counts_as_nothing(tmp_path: Path) -> None:
    model, path = far.NCEAutoRec(factors=8).fit(TRAIN), tmp_path / "model.onnx"
    model.to_onnx(path, N=5)
    plain = answers(path, [[5, 9]])
    for same in ([[5, 9, -1, 5]], [[60, 9, 5, -7, 2**40]]):
        for array, other in zip(plain, answers(path, same), strict=True):
            np.testing.assert_array_equal(array, other)
    nobody = model.recommend(sparse.csr_matrix((2, 60)), N=5)
    np.testing.assert_array_equal(answers(path, np.zeros((2, 0)))[0], nobody[0])


@with_onnx
def test_names_of_items_are_in_the_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    far.PureSVD(factors=8).fit(far.Interactions(TRAIN, item_ids=NAMES)).to_onnx(tmp_path / "model.onnx")
    file = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(file, full_check=True)
    words = {entry.key: entry.value for entry in file.metadata_props}
    assert json.loads(words["item_names"]) == NAMES
    assert words["model"] == "PureSVD(factors=8)"


@with_onnx
def test_a_wrong_graph_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("former")
    monkeypatch.setitem(_onnx.ACTIVATIONS, "tanh", "Sigmoid")
    with pytest.raises(RuntimeError, match=r"other lists than `recommend`.* nothing was written"):
        MODELS["NCEAutoRec paper"].fit(TRAIN).to_onnx(path)
    assert path.read_text() == "former"


IDS, SCORES = np.array([[4, 7, 2]]), np.array([[3.0, 2.0, 1.0]], np.float32)


@pytest.mark.parametrize(
    ("ids", "scores", "same"),
    [
        ([4, 7, 2], [3, 2, 1], True),
        ([4, 7, 9], [3, 2, 1], True),  # as good as the last one
        ([4, 9, 2], [3, 2, 1], False),
        ([7, 4, 2], [3, 2, 1], False),
        ([4, 7, 2], [3, 2, 1.1], False),
        ([4, 7, -1], [3, 2, np.nan], False),
        ([4, 7, 2], [3, 2, np.nan], False),
    ],
)
def test_the_check(ids: list[int], scores: list[float], same: bool) -> None:
    other = np.array([ids]), np.array([scores], np.float32)
    if same:
        _onnx.require_same_lists((IDS, SCORES), other)
    else:
        with pytest.raises(RuntimeError, match="other lists than"):
            _onnx.require_same_lists((IDS, SCORES), other)


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(far.NotFittedError):
        far.EASE().to_onnx(path)
    model = far.EASE().fit(TRAIN)
    with pytest.raises(ValueError, match=r"`N` must be between 1 and 60, got 61"):
        model.to_onnx(path, N=61)
    with pytest.raises(ValueError, match="`popularity_discount` must be left out for EASE"):
        model.to_onnx(path, popularity_discount=0.5)
    with pytest.raises(ValueError, match="`histories` has 50 columns but the model was fitted on 60 items"):
        model.to_onnx(path, histories=TRAIN[:, :50])
    with pytest.raises(ValueError, match="`histories` must hold at least one row, got none"):
        model.to_onnx(path, histories=TRAIN[:0])
    with pytest.raises(IsADirectoryError, match="a folder is there; name a file, such as one inside it"):
        model.to_onnx(tmp_path)
    monkeypatch.setattr(far.EASE, "_layers", far.models.Recommender._layers)
    with pytest.raises(ValueError, match="EASE has no ONNX graph: its scores come neither from"):
        model.to_onnx(path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", far.baselines.__all__)
def test_models_of_other_libraries_have_no_graph(name: str) -> None:
    with pytest.raises(
        ValueError, match=f"{name} has no ONNX graph: its scores come neither from an encoder and a last"
    ):
        getattr(far.baselines, name)()._layers()


@with_onnx
def test_files_of_more_than_two_gibibytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_onnx, "LARGEST", 60 * 60 * 4 - 1)
    with pytest.raises(ValueError, match="an ONNX file holds at most 2 GiB, and the arrays of this EASE take"):
        far.EASE().fit(TRAIN).to_onnx(tmp_path / "model.onnx")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"`to_onnx` needs the package onnx; pip install 'fastautorec\[onnx\]'"):
        far.EASE().fit(TRAIN).to_onnx(tmp_path / "model.onnx")


@with_onnx
@pytest.mark.parametrize(
    ("name", "discount"), [("EASE", None), ("DLAE", None), ("DLAE", 0.3), ("ItemKNN", None), ("RP3beta", None)]
)
def test_item_item_scores_have_the_bits_of_recommend(name: str, discount: float | None, tmp_path: Path) -> None:
    """For lists of items in any order, with some named twice and gaps between them."""
    options: dict[str, Any] = {"N": 60, "filter_already_liked_items": False, "popularity_discount": discount}
    model, path, rng = MODELS[name].fit(TRAIN), tmp_path / "model.onnx", np.random.default_rng(0)
    model.to_onnx(path, **options)
    lists = [[-1] * 3 + row + row[:2] for row in padded(TRAIN)]
    ids, scores = answers(path, [rng.permutation(row) for row in lists])
    own_ids, own_scores = model.recommend(TRAIN, **options)
    np.testing.assert_array_equal(ids, own_ids)
    np.testing.assert_array_equal(scores, own_scores)
