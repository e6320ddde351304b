"""Candidates of each user's own, against all scores masked and sorted in plain NumPy; reasons in tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cuda_emulation import EmulatedCsr, EmulatedDevice
from lanes import marked
from named_data import ITEMS, MATRIX, USERS, lists_of
from scipy import sparse

import fastautorec as far
from fastautorec._compute import own_candidates

OWN = far.datasets.synthetic(USERS, ITEMS, 300, random_state=7)
OWN.data[:] = 1
MODELS: dict[str, Any] = {
    "EASE": far.EASE,
    "PureSVD": lambda **p: far.PureSVD(factors=6, **p),
    "NCEAutoRec": lambda **p: far.NCEAutoRec(factors=6, **p),
    "Popularity": far.Popularity,
}
devices = pytest.mark.parametrize("device", ["cpu", "reference", marked("cuda-emulated")], indirect=True)


def plain(scores: np.ndarray, allowed: np.ndarray, n_top: int) -> np.ndarray:
    """Return the best allowed items of each user by descending score and ascending id, -1 for none."""
    ids = np.full((len(scores), n_top), -1)
    for u, own in enumerate(scores):
        best = [i for i in np.argsort(-own, kind="stable") if allowed[u, i]][:n_top]
        ids[u, : len(best)] = best
    return ids


@devices
@pytest.mark.parametrize("name", MODELS)
def test_lists_are_the_best_of_each_users_candidates(name: str, device: str) -> None:
    model = MODELS[name](device=device).fit(MATRIX)
    scores, own, seen = model.predict(MATRIX), OWN.toarray() > 0, MATRIX.toarray() > 0
    for known in (True, False):
        ids, values = model.recommend(MATRIX, N=4, filter_already_liked_items=not known, items=OWN)
        np.testing.assert_array_equal(ids, plain(scores, own & (known | ~seen), 4))
        places = np.maximum(ids, 0)
        np.testing.assert_allclose(values[ids >= 0], np.take_along_axis(scores, places, 1)[ids >= 0], rtol=1e-5)
        assert np.isnan(values[ids < 0]).all()
    ids, _ = model.recommend(MATRIX, N=4, items=OWN, filter_items=[3, 8])
    assert not np.isin(ids, [3, 8]).any()
    own[:, [3, 8]] = False
    np.testing.assert_array_equal(ids, plain(scores, own & ~seen, 4))


def test_blocks_threads_and_copies_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS["NCEAutoRec"](num_threads=1).fit(MATRIX)
    expected, _ = model.recommend(MATRIX, N=5, items=OWN)
    for users, cells, pays in ((1, 1, True), (7, 100, True), (32, 1 << 20, False), (3, 60, False)):
        monkeypatch.setattr(own_candidates, "BLOCK_USERS", users)
        monkeypatch.setattr(own_candidates, "BLOCK_CELLS", cells)
        monkeypatch.setattr(own_candidates, "copying_pays", lambda *_, pays=pays: pays)
        runs = [model.set_params(num_threads=threads).recommend(MATRIX, N=5, items=OWN) for threads in (1, 3)]
        np.testing.assert_array_equal(runs[0][0], expected)
        np.testing.assert_array_equal(runs[0][1], runs[1][1])


def test_with_another_discount() -> None:
    model = MODELS["NCEAutoRec"]().fit(MATRIX)
    ids, _values = model.recommend(MATRIX, N=3, items=OWN, popularity_discount=0.9)
    scores = model.predict(MATRIX, popularity_discount=0.9)
    np.testing.assert_array_equal(ids, plain(scores, (OWN.toarray() > 0) & (MATRIX.toarray() == 0), 3))
    assert (ids != model.recommend(MATRIX, N=3, items=OWN)[0]).any()


def test_histories_that_say_nothing_get_the_popular_ones_of_their_candidates() -> None:
    empty = sparse.csr_matrix((USERS, ITEMS))
    ids, _ = far.EASE().fit(MATRIX).recommend(empty, N=3, items=OWN)
    popularity = np.tile(np.asarray(MATRIX.sum(axis=0)), (USERS, 1))
    np.testing.assert_array_equal(ids, plain(popularity, OWN.toarray() > 0, 3))


def test_matrices_of_a_device(emulation: EmulatedDevice) -> None:
    model = MODELS["PureSVD"](device="cuda").fit(MATRIX)
    expected, _ = model.recommend(MATRIX, N=3, items=OWN)
    ids, _ = model.recommend(EmulatedCsr.of(emulation, MATRIX), N=3, items=EmulatedCsr.of(emulation, OWN))
    np.testing.assert_array_equal(ids.get(), expected)


@pytest.mark.parametrize(
    ("items", "options", "error", "words"),
    [
        (OWN[:5], {}, ValueError, "`items` must have the candidates for each of the 40 lists .* got 5 rows; for"),
        (OWN[:, :5], {}, ValueError, "`items` has 5 columns"),
        (OWN * 2, {}, ValueError, "`items` must be binary|`items` must hold 0 and 1|`items`.*got 2"),
        (OWN * 0, {}, ValueError, "`items` and `filter_items` leave no item to recommend"),
        (OWN, {"filter_items": np.arange(ITEMS)}, ValueError, "`items` and `filter_items` leave no item to recommend"),
        (OWN, {"filter_items": [ITEMS]}, ValueError, r"`filter_items` must hold item ids in \[0, 30\), got 30"),
        (
            np.ones((USERS, ITEMS)),
            {},
            TypeError,
            "`items` must be one list .* a sparse matrix with a row for each history",
        ),
    ],
)
def test_unusable_candidates(items: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        far.EASE().fit(MATRIX).recommend(MATRIX, N=3, items=items, **options)


# --- by name ----------------------------------------------------------------------------------------------------------


def own_of(data: far.Interactions) -> far.Interactions:
    return far.Interactions(OWN, data.user_ids, data.item_ids)


FORMS: dict[str, Any] = {
    "interactions": lambda own: own,
    "in another order": lambda own: own.with_items(own.item_ids[::-1]).with_users(own.user_ids[::-1]),
    "dict": lists_of,
    "pandas": lambda own: pd.DataFrame(pairs_of(own)),
    "polars": lambda own: pl.DataFrame(pairs_of(own)),
    "matrix": lambda own: own.user_items,
}


def pairs_of(own: far.Interactions) -> dict[str, list[Any]]:
    entries = own.user_items.tocoo()
    return {"user": own.user_ids[entries.row].tolist(), "item": own.item_ids[entries.col].tolist()}


@pytest.mark.parametrize("form", FORMS)
def test_tables_of_own_candidates(form: str, data: far.Interactions) -> None:
    model = far.EASE().fit(data)
    ids, scores = model.recommend(data, N=4, items=OWN)
    table = model.recommend_table(data, N=4, items=FORMS[form](own_of(data)))
    assert table["item"].tolist() == data.item_ids[ids[ids >= 0]].tolist()
    assert table["user"].tolist() == np.repeat(data.user_ids, (ids >= 0).sum(axis=1)).tolist()
    np.testing.assert_array_equal(table["score"], scores[ids >= 0])


def test_chosen_users_have_their_own_candidates(data: far.Interactions) -> None:
    model, own, rows = far.EASE().fit(data), own_of(data), [9, 2, 30]
    everybody = model.recommend_table(data, N=4, items=own).to_dict()
    users = data.user_ids[rows].tolist()
    for given in (own, lists_of(own), own.user_items[rows]):
        table = model.recommend_table(data, N=4, users=users, items=given)
        assert table.to_dict() == {user: everybody[user] for user in users}
    with pytest.warns(
        UserWarning, match="`items` does not have the same users as `data`: 38 of the 40 users.* no row$"
    ):
        some = model.recommend_table(data, N=4, items=lists_of(own, [9, 2]))
    assert {user: items for user, items in some.to_dict().items() if items} == {
        user: items for user, items in everybody.items() if user in users[:2] and items
    }


def test_candidates_of_users_who_are_not_there(data: far.Interactions) -> None:
    model, lists = far.EASE().fit(data), lists_of(data)
    (user, _), (other, _) = list(lists.items())[:2]
    typo = 3 if isinstance(user, int) else "Vim"
    items = {user: data.item_ids.tolist(), typo: data.item_ids.tolist()}
    with pytest.warns(
        UserWarning, match=rf"1 of the 2 users, such as {other!r}, have no row, and those of {typo!r}, of 1 that"
    ):
        table = model.recommend_table(data, N=3, users=[user, other], items=items)
    assert set(table["user"].tolist()) == {user}
    with pytest.warns(UserWarning, match=rf"`data`: those of {typo!r}, of 1 that are not among these, stay unused"):
        model.recommend_table({user: lists[user]}, N=3, items=items)
    model.recommend_table(data, N=3, users=[user], items=items)  # of more users than are asked for, as they come


def test_rows_of_candidates_are_those_of_histories(data: far.Interactions) -> None:
    model = far.EASE().fit(data)
    turned = data.with_users(data.user_ids[::-1])
    with pytest.raises(
        ValueError, match=r"`items` has the users of `user_items` in another order.*items\.with_users\(user_it"
    ):
        model.recommend(data, items=turned)
    found = model.recommend(data, items=turned.with_users(data.user_ids), filter_already_liked_items=False)[0]
    np.testing.assert_array_equal(
        found, model.recommend(data, items=data.user_items, filter_already_liked_items=False)[0]
    )


def test_cold_users_are_dropped_with_their_candidates(data: far.Interactions) -> None:
    model, own = far.EASE().fit(data), own_of(data)
    lists = lists_of(data)
    cold = next(iter(lists))
    everybody = model.recommend_table(lists, N=4, items=own, because=2).to_dict()
    table = model.recommend_table({**lists, cold: []}, N=4, items=own, cold_users="drop", because=2)
    assert table.to_dict() == {**everybody, cold: []}


@pytest.mark.filterwarnings("ignore:`items` does not have the same users")
def test_unusable_candidates_by_name(data: far.Interactions) -> None:
    model, own = far.EASE().fit(data), own_of(data)
    text = data.item_ids.dtype.kind != "i"
    user, item = data.user_ids.tolist()[0], data.item_ids.tolist()[0]
    strange, nobody = ("SKU-x", "zed") if text else (10_000, 3)
    with pytest.warns(UserWarning, match=f"does not know 1 items in `items`, such as '?{strange}'?, and leaves"):
        table = model.recommend_table(data, N=2, items={user: [strange, item]}, filter_already_liked_items=False)
    assert table.to_dict()[user] == [item]
    with pytest.raises(ValueError, match=f"candidates for none of the 40 users of `data`.* such as '?{nobody}'?"):
        model.recommend_table(data, items={nobody: [item]})
    with pytest.raises(TypeError, match=r"the ids in `items` are .*, those of `data` "):
        model.recommend_table(data, items={(7 if text else "7"): [item]})
    with pytest.raises(TypeError, match=r"the ids in `items` are .*, those of the model "):
        model.recommend_table(data, items={user: [7 if text else "7"]})
    with pytest.raises(TypeError, match=r"`items` must hold a list of items for each user, got"):
        model.recommend_table(data, items={user: item})
    with pytest.raises(ValueError, match="`items` must have one column of users and one of items"):
        model.recommend_table(data, items=pd.DataFrame({"zone": [user], "item": [item]}))
    with pytest.raises(ValueError, match="leave no item to recommend"):
        model.recommend_table(data, items={user: []})
    with pytest.raises(ValueError, match="leave no item to recommend"):
        model.recommend_table(data, items={user: [item]}, filter_items=[item])
    with pytest.raises(ValueError, match="candidates for each of the 40 lists"):
        model.recommend_table(data, items=own.user_items[:3])


# --- because of -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["EASE", "PureSVD", "NCEAutoRec"])
def test_reasons_are_those_of_explain(name: str, data: far.Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS[name]().fit(data)
    table = model.recommend_table(data, N=4, because=3)
    assert table.columns == ("user", "item", "rank", "score", "because")
    ids, _ = model.recommend(data, N=4)
    explained = model.explain(data, ids, N=3)
    expected = [
        [name for name, value in zip(names, values, strict=True) if value > 0]
        for of_user, its in zip(explained.because_names, explained.contributions, strict=True)
        for names, values in zip(of_user, its, strict=True)
    ]
    assert table["because"].tolist() == expected
    assert [row.because for row in table] == expected
    assert table.to_pandas()["because"].tolist() == expected
    assert table.to_polars()["because"].to_list() == table.to_arrow()["because"].to_pylist() == expected
    monkeypatch.setattr("fastautorec.models._named.REASON_BYTES", 1)
    assert model.recommend_table(data, N=4, because=3)["because"].tolist() == expected
    assert ", ".join(map(str, expected[0])) in repr(table).splitlines()[1]


def test_reasons_are_printed_and_absent_where_none_was_asked_for(data: far.Interactions) -> None:
    model = far.EASE().fit(data)
    assert "because" not in model.recommend_table(data, N=2).columns
    with pytest.raises(KeyError, match="no column 'because'"):
        model.recommend_table(data, N=2)["because"]
    cold = model.recommend_table({"ann": []}, N=2, because=2)
    assert cold["because"].tolist() == [[], []]
    assert model.recommend_table({}, because=2)["because"].tolist() == []
    for wrong, error in ((-1, ValueError), (ITEMS + 1, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="`because` must be"):
            model.recommend_table(data, because=wrong)
    with pytest.raises(ValueError, match="Popularity has no explanations: everybody gets the same scores"):
        far.Popularity().fit(data).recommend_table(data, because=1)


@pytest.mark.parametrize("bare", [False, True])
def test_the_column_has_one_type_with_and_without_reasons(data: far.Interactions, bare: bool) -> None:
    model = far.EASE().fit(MATRIX if bare else data)
    users = data.user_ids.tolist()
    filled = model.recommend_table(MATRIX if bare else data, N=2, because=1)
    of_nobody = model.recommend_table({users[0]: []}, N=2, because=1)
    without_rows = model.recommend_table({users[0]: []}, N=2, because=1, cold_users="drop")
    assert any(filled["because"].tolist())
    assert not any(of_nobody["because"].tolist())
    assert len(without_rows) == 0
    for empty in (of_nobody, without_rows):
        assert empty.to_arrow().schema.field("because") == filled.to_arrow().schema.field("because")
        assert empty.to_polars().schema["because"] == filled.to_polars().schema["because"]
        assert empty.to_pandas()["because"].dtype == filled.to_pandas()["because"].dtype == object


# --- the dial ---------------------------------------------------------------------------------------------------------


def test_the_dial_is_the_same_everywhere(data: far.Interactions) -> None:
    model = far.NCEAutoRec(factors=6).fit(data)
    ids, scores = model.recommend(data, N=4, popularity_discount=0.9)
    table = model.recommend_table(data, N=4, popularity_discount=0.9)
    assert table["item"].tolist() == data.item_ids[ids.ravel()].tolist()
    all_scores = model.predict(data, popularity_discount=0.9)
    np.testing.assert_allclose(np.take_along_axis(all_scores, ids, 1), scores, rtol=1e-5)
    some = model.predict(data, [5, 2], popularity_discount=0.9)
    np.testing.assert_allclose(some, all_scores[:, [5, 2]], rtol=1e-5)
    train, test = far.split(data, (0.6, 0.4), by="random")
    model = far.NCEAutoRec(factors=6).fit(train)
    report = far.evaluate(model, train, test, k=5, popularity_discount=0.9)
    lists, _ = model.recommend(train, N=5, popularity_discount=0.9)
    expected = far.evaluation.evaluate_ranking(lists, train, test, k=5)
    np.testing.assert_array_equal(report["NDCG@5"].per_user, expected["NDCG@5"].per_user)


@pytest.mark.parametrize("call", ["recommend", "recommend_table", "predict", "evaluate"])
def test_the_dial_is_refused_alike(call: str) -> None:
    def ask(model: Any, discount: Any) -> Any:
        if call == "evaluate":
            return far.evaluate(model, MATRIX, OWN, k=5, popularity_discount=discount)
        return getattr(model, call)(MATRIX, popularity_discount=discount)

    model = far.NCEAutoRec(factors=6).fit(MATRIX)
    for value, error, words in (
        (float("nan"), ValueError, "`popularity_discount` must be finite, got nan"),
        (float("inf"), ValueError, "`popularity_discount` must be finite, got inf"),
        ("0.5", TypeError, "`popularity_discount` must be a number, got str"),
        (1e9, ValueError, r"must keep pop\^\(−γ\) between"),
    ):
        with pytest.raises(error, match=words):
            ask(model, value)
    for other in (far.EASE().fit(MATRIX), far.PureSVD(factors=4).fit(MATRIX), far.Popularity().fit(MATRIX)):
        with pytest.raises(ValueError, match=f"`popularity_discount` must be left out for {type(other).__name__}"):
            ask(other, 0.5)
