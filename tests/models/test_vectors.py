"""Vectors whose inner products are scores, indexes made of them, and what these find."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far

TRAIN = far.datasets.synthetic(300, 200, 5000, random_state=1)
LIBRARIES = {"to_faiss": "faiss", "to_hnswlib": "hnswlib", "to_usearch": "usearch"}


@pytest.fixture(scope="module")
def model() -> Any:
    return far.NCEAutoRec(factors=16, popularity_discount=0.2).fit(TRAIN)


@pytest.fixture(scope="module")
def vectors(model: Any) -> far.ItemVectors:
    return model.export_vectors()


def by_all(vectors: far.ItemVectors) -> Any:
    return lambda queries, wanted: np.argsort(-(queries @ vectors.items.T), axis=1, kind="stable")[:, :wanted]


@pytest.mark.parametrize("cls", [far.NCEAutoRec, far.AutoRec, far.NCEPLRec, far.PureSVD, far.Popularity])
def test_inner_products_are_scores(cls: Any) -> None:
    model = (cls() if cls is far.Popularity else cls(factors=16)).fit(TRAIN)
    vectors = model.export_vectors()
    assert vectors.items.dtype == vectors.users(TRAIN).dtype == np.float32
    np.testing.assert_allclose(vectors.users(TRAIN) @ vectors.items.T, model.predict(TRAIN), rtol=1e-4, atol=1e-6)
    assert (np.diff(np.linalg.norm(vectors.items[vectors.order], axis=1)) >= -1e-6).all()
    assert sorted(vectors.order) == list(range(200))


def test_another_discount_is_in_the_vectors(model: Any) -> None:
    vectors = model.export_vectors(popularity_discount=0.7)
    expected = model.predict(TRAIN, popularity_discount=0.7)
    np.testing.assert_allclose(vectors.users(TRAIN) @ vectors.items.T, expected, rtol=1e-4, atol=1e-6)
    assert vectors.recall(by_all(vectors), TRAIN).mean > 0.999


def test_vectors_are_copies_and_stay_with_their_fit() -> None:
    model = far.PureSVD(factors=4).fit(TRAIN)
    vectors = model.export_vectors()
    expected = vectors.users(TRAIN)
    vectors.items[:] = 0
    assert model.decoder_.any()
    model.fit(TRAIN[:100])
    np.testing.assert_array_equal(vectors.users(TRAIN), expected)


@pytest.mark.parametrize("known", [True, False])
def test_recall_counts_what_a_plain_loop_counts(vectors: Any, model: Any, known: bool) -> None:
    rng = np.random.default_rng(3)
    answers = rng.permuted(np.tile(np.arange(-1, 199), (300, 1)), axis=1)
    numbers = {vector.tobytes(): row for row, vector in enumerate(vectors.users(TRAIN))}

    def index(queries: Any, wanted: int) -> Any:
        return answers[[numbers[query.tobytes()] for query in queries], :wanted]

    best, _ = model.recommend(TRAIN, 10, filter_already_liked_items=known)
    longest, shares = int(np.diff(TRAIN.indptr).max()) if known else 0, []
    for row in range(300):
        seen = set(TRAIN[row].indices) if known else set()
        given = [item for item in answers[row, : 10 + longest] if item >= 0 and item not in seen][:10]
        shares.append(len(set(given) & set(best[row])) / 10)
    found = vectors.recall(index, TRAIN, 10, known)
    assert found.mean == pytest.approx(np.mean(shares))
    assert found.half_width == pytest.approx(1.96 * np.std(shares, ddof=1) / np.sqrt(300))
    assert sorted(found.per_user) == sorted(shares)


def test_histories_without_a_vector_are_left_out() -> None:
    vectors = far.PureSVD(factors=16).fit(TRAIN).export_vectors()
    rows = sparse.vstack([sparse.csr_matrix((5, 200)), TRAIN[:20]]).tocsr()
    assert len(vectors.recall(by_all(vectors), rows).per_user) == 20
    with pytest.raises(ValueError, match="`user_items` must hold a history that says something to the model, got none"):
        vectors.recall(by_all(vectors), rows[:5])


@pytest.mark.parametrize(
    ("recipe", "options"), [("to_faiss", {}), ("to_faiss", {"kind": "hnsw"}), ("to_hnswlib", {}), ("to_usearch", {})]
)
def test_indexes_find_the_lists(vectors: Any, recipe: str, options: dict[str, Any]) -> None:
    pytest.importorskip(LIBRARIES[recipe], reason=f"{LIBRARIES[recipe]} is not installed")
    index = getattr(vectors, recipe)(**options)
    assert vectors.recall(index, TRAIN).mean > 0.99
    assert vectors.recall(index, TRAIN[:1], 3, filter_already_liked_items=False).mean == 1


def test_usearch_fills_up_with_the_key_of_an_item(vectors: Any) -> None:
    usearch = pytest.importorskip("usearch.index", reason="usearch is not installed")
    index = usearch.Index(ndim=vectors.items.shape[1], metric="ip", dtype="f32")
    index.add(np.arange(1, 6), vectors.items[1:6])
    best = np.argsort(-(vectors.users(TRAIN) @ vectors.items.T), axis=1, kind="stable")[:, :100]
    expected = [len(set(row) & set(range(1, 6))) / 100 for row in best]
    assert 0 in best
    assert vectors.recall(index, TRAIN, 100, filter_already_liked_items=False).mean == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("cls", [far.EASE, far.DLAE, far.ItemKNN, far.RP3beta])
def test_models_without_vectors_say_so(cls: Any) -> None:
    with pytest.raises(ValueError, match=f"{cls.__name__} has no vectors of items: its scores come from an item-item"):
        cls().fit(TRAIN).export_vectors()


def test_refusals(vectors: Any) -> None:
    with pytest.raises(far.NotFittedError):
        far.PureSVD().export_vectors()
    with pytest.raises(
        TypeError, match="`index` must be an index of faiss, hnswlib, usearch or voyager, or a callable"
    ):
        vectors.recall("index", TRAIN)
    with pytest.raises(ValueError, match=r"`k` must be between 1 and 200, got 0"):
        vectors.recall(by_all(vectors), TRAIN, 0)
    with pytest.raises(ValueError, match="`kind` must be one of 'flat', 'hnsw', got 'ivf'"):
        vectors.to_faiss("ivf")
    with pytest.raises(ValueError, match="`expansion_add` must be >= 1, got 0"):
        vectors.to_usearch(expansion_add=0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda found: None, r"`index` must give \d+ labels for each of 300 vectors, as integers, got NoneType"),
        (lambda found: found[:, :3], r"got numpy.ndarray of shape \(300, 3\) and dtype int64"),
        (lambda found: found.astype(float), "dtype float64"),
        (lambda found: found + 1, "`index` must give labels between 0 and 199, -1 for none, got 1 to 200"),
        (lambda found: found - 2, "got -2 to 197"),
        (lambda found: found // 2, "`index` must give different labels for a vector, got one twice"),
    ],
)
def test_labels_that_cannot_be_items_are_refused(vectors: Any, labels: Any, message: str) -> None:
    exact = by_all(vectors)
    with pytest.raises(ValueError, match=message):
        vectors.recall(lambda queries, wanted: labels(exact(queries, wanted)), TRAIN, 150)


@pytest.mark.parametrize(("recipe", "library"), LIBRARIES.items())
def test_a_missing_package_is_named(vectors: Any, recipe: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (library, f"{library}.index"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ImportError, match=rf"`{recipe}` needs the package {library}; pip install 'fastautorec\[{library}\]'"
    ):
        getattr(vectors, recipe)()
