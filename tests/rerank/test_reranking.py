"""Re-ranking in `recommend`, `recommend_table` and `evaluate`: the same lists everywhere, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from autoencoders import every_device
from scipy import sparse

import fastautorec as far
from fastautorec.evaluation import evaluate, evaluate_ranking
from fastautorec.rerank import MMR, Caps, Explore
from fastautorec.rerank import _apply as apply

DATA = far.datasets.synthetic(150, 80, 3000, random_state=1)
TRAIN, TEST = far.split(DATA, (0.7, 0.3), by="random")
GROUPS = np.arange(80) % 7
ALL = [MMR(0.4), Explore(0.3, 1), Caps(GROUPS, 2)]


def fitted(**params: Any) -> Any:
    return far.NCEAutoRec(factors=8, **params).fit(TRAIN)


class Every:
    """Lists every second candidate."""

    def order(self, ids: Any, scores: Any, request: Any) -> Any:
        return np.tile(np.arange(0, ids.shape[1], 2), (len(ids), 1))


class Returning:
    """Returns what it was made with, for each block."""

    def __init__(self, make: Any) -> None:
        self.make = make

    def order(self, ids: Any, scores: Any, request: Any) -> Any:
        return self.make(ids)


@pytest.mark.parametrize("one", [*ALL, ALL], ids=repr)
def test_one_by_one_and_in_any_batch_order_and_number_of_threads(one: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted()
    ids, scores = model.recommend(TRAIN, N=6, rerank=one)
    turned = model.recommend(TRAIN[::-1], N=6, rerank=one)[0][::-1]
    np.testing.assert_array_equal(turned, ids)
    few = np.concatenate([model.recommend(TRAIN[user], N=6, rerank=one)[0] for user in range(20)])
    np.testing.assert_array_equal(few, ids[:20])
    monkeypatch.setattr(apply, "BLOCK_PLACES", 700)
    for threads in (1, 3):
        model.set_params(num_threads=threads)
        again = model.recommend(TRAIN, N=6, rerank=one)
        np.testing.assert_array_equal(again[0], ids)
        np.testing.assert_array_equal(again[1], scores)
    monkeypatch.setattr(apply, "BLOCK_USERS", 40)
    np.testing.assert_array_equal(model.recommend(TRAIN, N=6, rerank=one)[0], ids)


def test_scores_stay_those_of_the_items() -> None:
    model = fitted()
    ids, scores = model.recommend(TRAIN, N=6, rerank=ALL)
    np.testing.assert_allclose(
        np.take_along_axis(model.predict(TRAIN), np.maximum(ids, 0), 1)[ids >= 0], scores[ids >= 0], rtol=1e-5
    )
    assert np.isnan(scores[ids < 0]).all()


def test_only_the_best_are_candidates() -> None:
    model = fitted()
    best, _ = model.recommend(TRAIN, N=10)
    ids, _ = model.recommend(TRAIN, N=10, rerank=Explore(100), n_candidates=10)
    np.testing.assert_array_equal(np.sort(ids, axis=1), np.sort(best, axis=1))
    assert (ids != best).mean() > 0.5
    some = [3, 4, 5, 9]
    assert set(model.recommend(TRAIN, N=10, items=some, rerank=Explore(1))[0].ravel().tolist()) <= {-1, *some}


def test_a_users_own() -> None:
    model = fitted()
    best, values = model.recommend(TRAIN, N=20)
    ids, scores = model.recommend(TRAIN, N=10, rerank=Every(), n_candidates=20)
    np.testing.assert_array_equal(ids, best[:, ::2])
    np.testing.assert_array_equal(scores, values[:, ::2])
    short, _ = model.recommend(TRAIN, N=10, rerank=Every(), n_candidates=12)
    np.testing.assert_array_equal(short[:, :6], best[:, :12:2])
    assert (short[:, 6:] == -1).all()


def test_one_after_the_other() -> None:
    model = fitted()
    both, _ = model.recommend(TRAIN, N=3, rerank=[Every(), Every()], n_candidates=12)
    np.testing.assert_array_equal(both, model.recommend(TRAIN, N=12)[0][:, ::4])
    capped, _ = model.recommend(TRAIN, N=10, rerank=[MMR(0.5), Caps(GROUPS, 1)])
    for row in capped:
        assert len(set(GROUPS[row[row >= 0]])) == (row >= 0).sum() <= 7


def test_places_of_nothing_come_last() -> None:
    backwards = Returning(lambda ids: np.tile(np.arange(ids.shape[1])[::-1], (len(ids), 1)))
    ids, scores = fitted().recommend(TRAIN, N=80, rerank=backwards)
    empty = ids < 0
    np.testing.assert_array_equal(empty, np.isnan(scores))
    np.testing.assert_array_equal(empty.sum(axis=1), np.diff(TRAIN.indptr))
    assert (np.diff(empty.astype(int), axis=1) >= 0).all()


def test_histories_that_say_nothing_are_re_ranked_too() -> None:
    train = TRAIN.tolil()
    train[:, 7] = 0
    model = far.NCEAutoRec(factors=8, fit_intercept=False).fit(train.tocsr())
    cold = sparse.csr_matrix(([1.0], ([0], [7])), shape=(1, 80))
    plain, _ = model.recommend(cold, N=80)
    ids, _ = model.recommend(cold, N=5, rerank=Every())
    np.testing.assert_array_equal(ids[0], plain[0, :10:2])


def test_tables_have_the_same_lists() -> None:
    data = far.Interactions(TRAIN, item_ids=[f"i{number}" for number in range(80)])
    model = far.NCEAutoRec(factors=8).fit(data)
    ids, _ = model.recommend(data, N=5, rerank=ALL, n_candidates=40)
    for cold in ("popular", "drop"):
        table = model.recommend_table(data, N=5, rerank=ALL, n_candidates=40, cold_users=cold)
        assert table["item"].tolist() == model.item_names(ids[ids >= 0]).tolist()


@pytest.mark.parametrize("model", [far.EASE(), far.PureSVD(3), far.AutoRec(8, epochs=2)], ids=repr)
def test_vectors_are_those_of_similar_items(model: Any) -> None:
    """Compare with the choice of a second item by hand."""
    model.fit(TRAIN)
    best, scores = model.recommend(TRAIN[:10], N=30)
    ids, _ = model.recommend(TRAIN[:10], N=2, rerank=MMR(0.6), n_candidates=30)
    np.testing.assert_array_equal(ids[:, 0], best[:, 0])
    for user in range(10):
        near, cosines = model.similar_items(best[user, 0], N=80)
        cosine = dict(zip(near.tolist(), cosines.tolist(), strict=True))
        low, high = scores[user].min(), scores[user].max()
        gains = [
            0.4 * (score - low) / (high - low) - 0.6 * cosine[item]
            for item, score in zip(best[user, 1:].tolist(), scores[user, 1:].tolist(), strict=True)
        ]
        assert ids[user, 1] == best[user, 1 + int(np.argmax(gains))]


def test_without_vectors_lists_stay_as_they_are() -> None:
    model = far.Popularity().fit(TRAIN)
    np.testing.assert_array_equal(model.recommend(TRAIN, N=5, rerank=MMR(0.9))[0], model.recommend(TRAIN, N=5)[0])


@every_device
def test_on_every_device(device: str) -> None:
    model = far.NCEAutoRec(factors=8, device=device).fit(TRAIN)
    ids, _ = model.recommend(TRAIN[:20], N=5, rerank=[MMR(0.3), Caps(GROUPS, 1)])
    expected, _ = fitted().recommend(TRAIN[:20], N=5, rerank=[MMR(0.3), Caps(GROUPS, 1)])
    assert (ids == expected).mean() > 0.9  # other devices round otherwise
    receipt = evaluate(model, TRAIN, TEST, k=5, rerank=MMR(0.3)).receipt
    assert receipt is not None
    assert receipt.plain["NDCG"].mean == pytest.approx(evaluate(model, TRAIN, TEST, k=5)["NDCG"].mean)


# --- evaluation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("definition", ["standard", "paper"])
@pytest.mark.parametrize("n_candidates", [None, 10, 80])
def test_a_report_of_the_lists_of_recommend(definition: str, n_candidates: int | None) -> None:
    model = fitted()
    report = evaluate(model, TRAIN, TEST, (5, 10), definition, rerank=ALL, n_candidates=n_candidates)
    lists, _ = model.recommend(TRAIN, N=10, rerank=ALL, n_candidates=n_candidates)
    expected = evaluate_ranking(lists, TRAIN, TEST, (5, 10), definition)
    assert list(report) == list(expected)
    for name in report:
        np.testing.assert_array_equal(report[name].per_user, expected[name].per_user)
    np.testing.assert_array_equal(report.heads, expected.heads)
    assert (report.notes, report.coverage, report.gini) == (expected.notes, expected.coverage, expected.gini)


def test_a_receipt_by_its_parts() -> None:
    model = fitted()
    report, plain = evaluate(model, TRAIN, TEST, rerank=MMR(0.5)), evaluate(model, TRAIN, TEST)
    receipt = report.receipt
    assert receipt is not None
    for name in plain:
        np.testing.assert_array_equal(receipt.plain[name].per_user, plain[name].per_user)
    np.testing.assert_array_equal(receipt.plain.heads, plain.heads)
    assert receipt.plain.notes == plain.notes
    comparison = far.compare(report, plain, metrics=["NDCG"])
    ndcg, distance = receipt.comparison["NDCG"], receipt.comparison["ILD@10"]
    assert (ndcg.difference, ndcg.low, ndcg.p_value) == (
        comparison["NDCG"].difference, comparison["NDCG"].low, comparison["NDCG"].p_value
    )  # fmt: skip
    own, other = (each.intra_list_distance(TRAIN).per_user for each in (report, plain))
    assert distance.difference == pytest.approx((own - other).mean())
    assert distance.difference > 0
    assert receipt.comparison.popularity.mean_b == plain.popularity.mean
    assert receipt.coverage == (report.coverage, plain.coverage)
    assert receipt.gini == (report.gini, plain.gini)
    text = str(report).splitlines()
    title = f"Re-ranked by MMR(strength=0.5) among 80 candidates, paired over {report.n_users} users"
    assert text[-8] == title
    assert text[-7] == receipt.comparison.in_words()
    assert [line.split()[0] for line in text[-5:]] == ["NDCG", "ILD@10", "Popularity@10", "Coverage@10", "Gini@10"]
    assert text[-1].split()[1:] == [f"{a:.4f}" for a in receipt.gini] + [f"{receipt.gini[0] - receipt.gini[1]:+.4f}"]
    assert repr(receipt) == "<Receipt of MMR(strength=0.5) among 80 candidates>"
    assert plain.receipt is None
    assert report.at(k=5).receipt is None


def test_receipts_of_one_user_and_of_lists_of_one() -> None:
    model = fitted()
    one = evaluate(model, TRAIN[:1], TEST[:1], k=5, rerank=MMR(0.5))
    assert np.isnan(one.receipt.comparison["NDCG"].p_value)
    short = evaluate(model, TRAIN, TEST, k=1, rerank=MMR(0.5))
    assert np.isnan(short.receipt.comparison["ILD@1"].difference)
    assert short.receipt.comparison["NDCG"].difference == 0
    for report in (one, short):
        assert "No difference between re-ranked and plain is shown" in str(report)


def test_columns_in_another_order() -> None:
    names = [f"i{number}" for number in range(80)]
    model = far.NCEAutoRec(factors=8).fit(far.Interactions(TRAIN, item_ids=names))
    turned = [far.Interactions(part[:, ::-1], item_ids=names[::-1]) for part in (TRAIN, TEST)]
    found = evaluate(model, *turned, k=5, rerank=[MMR(0.4), Caps(GROUPS, 1)])
    expected = evaluate(
        model,
        *(far.Interactions(part, item_ids=names) for part in (TRAIN, TEST)),
        k=5,
        rerank=[MMR(0.4), Caps(GROUPS, 1)],
    )
    np.testing.assert_array_equal(79 - found.heads, expected.heads)
    assert found.receipt is not None
    assert expected.receipt is not None
    assert found.receipt.comparison["ILD@5"].difference == pytest.approx(
        expected.receipt.comparison["ILD@5"].difference
    )


# --- what is refused -------------------------------------------------------------------------------------------------


def constant(value: Any) -> Returning:
    return Returning(lambda ids: value)


@pytest.mark.parametrize(
    ("rerank", "n_candidates", "error", "message"),
    [
        (MMR, None, TypeError, r"`rerank` must hold re-rankers, such as .*MMR\(0.3\).* got the class MMR"),
        ("mmr", None, TypeError, "`rerank` must hold re-rankers.* got str"),
        ([MMR(0.1), 3], None, TypeError, "`rerank` must hold re-rankers.* got int"),
        (None, 20, ValueError, "`n_candidates` needs `rerank`, got 20"),
        ([], 20, ValueError, "`n_candidates` needs `rerank`, got 20"),
        (MMR(0.1), 4, ValueError, "`n_candidates` must be between 5 and 80, got 4"),
        (MMR(0.1), 81, ValueError, "`n_candidates` must be between 5 and 80, got 81"),
        (MMR(0.1), 9.5, TypeError, "`n_candidates` must be an integer"),
        (constant([[0]]), None, TypeError, "`order` of Returning must return an integer array, got list"),
        (constant(np.zeros((1, 5))), None, TypeError, "must return an integer array, got float64"),
        (constant(np.arange(5)), None, ValueError, r"for each of 150 users and at most 80 columns, got shape \(5,\)"),
        (Returning(lambda ids: np.zeros((len(ids), 81), int)), None, ValueError, r"got shape \(150, 81\)"),
        (Returning(lambda ids: ids * 0 + 80), None, ValueError, r"places in \[0, 80\), or -1 for none, got 80"),
        (Returning(lambda ids: ids * 0 - 2), None, ValueError, "got -2"),
        (Returning(lambda ids: ids * 0), None, ValueError, "each place once for each user, got one twice"),
    ],
)  # fmt: skip
def test_bad_re_rankers(rerank: Any, n_candidates: Any, error: type[Exception], message: str) -> None:
    model = fitted()
    with pytest.raises(error, match=message):
        model.recommend(TRAIN, N=5, rerank=rerank, n_candidates=n_candidates)
    if "shape" not in message:  # blocks are of other sizes there
        with pytest.raises(error, match=message):
            evaluate(model, TRAIN, TEST, k=5, rerank=rerank, n_candidates=n_candidates)


def test_candidates_cannot_be_written_to() -> None:
    def spoil(ids: Any) -> Any:
        ids[0, 0] = 1
        return ids

    with pytest.raises(ValueError, match="read-only"):
        fitted().recommend(TRAIN, N=5, rerank=Returning(spoil))


def test_no_rows() -> None:
    ids, scores = fitted().recommend(sparse.csr_matrix((0, 80)), N=5, rerank=ALL)
    assert ids.shape == scores.shape == (0, 5)
