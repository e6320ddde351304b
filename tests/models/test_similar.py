"""Items and users that are alike, by number and by name, against cosines in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_emulation import EmulatedCsr, EmulatedDevice
from devices import host
from lanes import marked
from named_data import ITEMS, MATRIX, USERS, lists_of
from scipy import sparse

import fastautorec as far
from fastautorec.models import _alike

MODELS: dict[str, Any] = {
    "EASE": far.EASE,
    "PureSVD": lambda **p: far.PureSVD(factors=6, **p),
    "NCEPLRec": lambda **p: far.NCEPLRec(factors=6, **p),
    "NCEAutoRec": lambda **p: far.NCEAutoRec(factors=6, **p),
    "relu": lambda **p: far.AutoRec(factors=6, epochs=2, **p),
}
devices = pytest.mark.parametrize("device", ["cpu", "reference", marked("cuda-emulated")], indirect=True)


def cosines(these: np.ndarray, those: np.ndarray) -> np.ndarray:
    """Return cosines, minus infinity where a vector of ``those`` has no direction."""
    these, those = (x.astype(np.float64) for x in (these, those))
    with np.errstate(invalid="ignore", divide="ignore"):
        unit, among = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (these, those))
    return np.where(np.isnan(unit @ among.T), -np.inf, unit @ among.T)


def check_best(rows: np.ndarray, scores: np.ndarray, expected: np.ndarray) -> None:
    """Check lists against all values: each the largest that is left, with its value, and none twice."""
    for got, values, own in zip(rows, scores, expected, strict=True):
        there = got[got >= 0]
        assert len(set(there)) == len(there) == min(len(got), np.isfinite(own).sum())
        np.testing.assert_allclose(values[: len(there)], own[there], atol=1e-5)
        np.testing.assert_allclose(values[: len(there)], np.sort(own)[::-1][: len(there)], atol=1e-5)
        assert np.isnan(values[len(there) :]).all()


# --- items ------------------------------------------------------------------------------------------------------------


@devices
@pytest.mark.parametrize("name", ["EASE", "NCEAutoRec"])
def test_similar_items_among_some(name: str, device: str) -> None:
    model = MODELS[name](device=device).fit(MATRIX)
    vectors = host(model._item_vectors())
    expected = cosines(vectors, vectors)
    queries = np.arange(ITEMS)
    for options, allowed in (
        ({"items": [3, 8, 9, 20]}, np.isin(queries, [3, 8, 9, 20])),
        ({"filter_items": [3, 8]}, ~np.isin(queries, [3, 8])),
        ({"items": [3, 8, 9], "filter_items": [8]}, np.isin(queries, [3, 9])),
    ):
        ids, scores = model.similar_items(queries, N=5, **options)
        check_best(ids, scores, np.where(allowed, expected, -np.inf))
        np.testing.assert_array_equal(ids[allowed, 0], queries[allowed])
        assert not np.isin(ids[ids >= 0], queries[~allowed]).any()
    ids, _ = model.similar_items(4, N=3, filter_items=[4])
    np.testing.assert_array_equal(ids, model.similar_items(4, N=4)[0][1:])
    for wrong in ({"filter_items": queries}, {"items": []}, {"items": [3], "filter_items": [3]}):
        with pytest.raises(ValueError, match="`items` and `filter_items` leave no item to recommend"):
            model.similar_items(4, N=3, **wrong)
    with pytest.raises(ValueError, match=r"`items` must hold item ids in \[0, 30\), got 30"):
        model.similar_items(4, items=[30])


@devices
@pytest.mark.parametrize("name", ["EASE", "NCEAutoRec", "relu"])
@pytest.mark.parametrize("density", [0.05, 0.3, 1.0])
def test_similar_items_among_candidates_of_their_own(name: str, density: float, device: str) -> None:
    some = MATRIX.toarray()
    some[:, 9] = 0  # an item without users
    model = MODELS[name](device=device).fit(sparse.csr_matrix(some))
    vectors = host(model._item_vectors())
    queries = np.array([4, 9, *range(20), 7])
    allowed = np.random.default_rng(0).random((len(queries), ITEMS)) < density
    allowed[0], allowed[2] = [False, True]
    given = sparse.csr_matrix(allowed.astype(np.float32))
    expected = cosines(vectors[queries], vectors)
    nowhere = ~(vectors[queries] != 0).any(axis=1)  # such an item has only itself
    assert nowhere.sum() == 2
    expected[nowhere] = np.where(np.arange(ITEMS) == queries[nowhere, None], 1, -np.inf)
    for options, among in (({}, allowed), ({"filter_items": [3, 8]}, allowed & ~np.isin(np.arange(ITEMS), [3, 8]))):
        ids, scores = model.similar_items(queries, N=5, items=given, **options)
        check_best(ids, scores, np.where(among, expected, -np.inf))
        itself = among[np.arange(len(queries)), queries]
        np.testing.assert_array_equal(ids[itself, 0], queries[itself])
    with pytest.raises(ValueError, match="candidates for each of the 1 lists in a row of its own, got 23 rows"):
        model.similar_items(4, items=given)
    with pytest.raises(ValueError, match="leave no item to recommend"):
        model.similar_items(4, items=sparse.csr_matrix((1, ITEMS)))


def test_similar_table_has_the_lists_of_similar_items(data: far.Interactions) -> None:
    model = far.PureSVD(factors=6).fit(data)
    ids, scores = model.similar_items([4, 2], N=3)
    asked = data.item_ids[[4, 2]]
    for given in (asked, asked.tolist(), tuple(asked.tolist())):
        table = model.similar_table(given, N=3)
        assert isinstance(table, far.SimilarityTable)
        assert table.columns == ("item", "similar", "rank", "score")
        assert table["item"].tolist() == np.repeat(asked, 3).tolist()
        assert table["similar"].tolist() == data.item_ids[ids.ravel()].tolist()
        assert table["rank"].tolist() == [1, 2, 3, 1, 2, 3]
        assert table["score"].tolist() == scores.ravel().tolist()
    assert table.to_dict() == {item: data.item_ids[own].tolist() for item, own in zip(asked.tolist(), ids, strict=True)}
    row = next(iter(table))
    assert (row.item, row.similar, row.rank) == (*asked[:1].tolist(), *asked[:1].tolist(), 1)
    assert list(table.to_pandas()) == list(table.to_polars().columns) == table.to_arrow().column_names
    assert len(model.similar_table(asked[:1].tolist()[0], N=3)) == 3
    assert len(model.similar_table([])) == 0
    assert repr(table).splitlines()[0].split() == ["item", "similar", "rank", "score"]
    assert "6 items that are like 2" in table._repr_html_()


def test_similar_table_among_some(data: far.Interactions) -> None:
    model = far.PureSVD(factors=6).fit(data)
    item, some = data.item_ids.tolist()[4], data.item_ids[[3, 9, 20]].tolist()
    mask = np.isin(np.arange(ITEMS), [3, 9, 20])
    ids, _ = model.similar_items(4, N=5, items=[3, 9, 20])
    for given in (some, set(some), mask, mask.tolist()):
        table = model.similar_table(item, N=5, items=given)
        assert table["similar"].tolist() == data.item_ids[ids[ids >= 0]].tolist()
    own = {item: some, data.item_ids.tolist()[2]: some[:1]}
    rows = sparse.csr_matrix(np.array([mask, np.arange(ITEMS) == 3], np.float32))
    table = model.similar_table(list(own), N=5, items=own)
    assert table.to_dict() == {item: data.item_ids[ids[ids >= 0]].tolist(), list(own)[1]: some[:1]}
    assert list(model.similar_table(list(own), N=5, items=rows)) == list(table)
    with pytest.raises(ValueError, match="`items` has candidates for none of the 1 items of `itemids`, such as"):
        model.similar_table(item, items={list(own)[1]: some})
    assert set(model.similar_table(item, N=ITEMS, filter_items=some)["similar"].tolist()).isdisjoint(some)
    new = "SKU-x" if data.item_ids.dtype.kind != "i" else 10_000
    with pytest.warns(UserWarning, match=f"does not know 1 of the 2 ids in `filter_items`, such as .*{new}.*leaves"):
        model.similar_table(item, N=2, filter_items=[some[0], new])


def test_unusable_items(data: far.Interactions) -> None:
    model = far.PureSVD(factors=6).fit(data)
    text = data.item_ids.dtype.kind != "i"
    item = data.item_ids.tolist()[0]
    new, other = ("SKU-x", 7) if text else (10_000, "7")
    with pytest.raises(ValueError, match=f"`itemids` must be items of the model, but it does not know 1 of .*{new}"):
        model.similar_table([item, new])
    with pytest.raises(ValueError, match=r"`itemids` must be distinct, got .* more than once"):
        model.similar_table([item, item])
    with pytest.raises(TypeError, match=r"the ids in `itemids` are .* such as '?7'?, those of the model"):
        model.similar_table([other])
    with pytest.raises(ValueError, match="`items` is a mask of length 3, but the model has 30 items"):
        model.similar_table(item, items=[True, False, True])
    with pytest.raises(ValueError, match="`items` names no item that the model knows"):
        model.similar_table(item, items=[new])
    with pytest.raises(ValueError, match="leave no item to recommend"):
        model.similar_table(item, filter_items=np.ones(ITEMS, bool))
    bare = far.PureSVD(factors=6).fit(MATRIX)
    assert bare.similar_table([4], N=3)["similar"].tolist() == bare.similar_items(4, N=3)[0].tolist()
    with pytest.raises(TypeError, match=r"fitted on a matrix without item ids .* 'SKU-1' in `itemids`"):
        bare.similar_table(["SKU-1"])
    with pytest.raises(ValueError, match=r"`itemids` must hold item numbers in \[0, 30\), got 30"):
        bare.similar_table([30])
    with pytest.raises(far.NotFittedError):
        far.PureSVD().similar_table([4])


# --- users ------------------------------------------------------------------------------------------------------------


@devices
@pytest.mark.parametrize("name", MODELS)
def test_similar_users_by_the_cosine_of_their_hidden_units(
    name: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS[name](device=device).fit(MATRIX)
    vectors = model.predict(MATRIX) if name == "EASE" else model.embed(MATRIX)
    rows, scores = model.similar_users(MATRIX[:7], MATRIX, N=6)
    assert rows.shape == scores.shape == (7, 6)
    check_best(rows, scores, cosines(vectors[:7], vectors))
    monkeypatch.setattr(_alike, "BLOCK_BYTES", 4 * 6 * 9)  # nine users at a time
    again, values = model.similar_users(MATRIX[:7], MATRIX, N=6)
    np.testing.assert_allclose(values, scores, atol=1e-6)
    check_best(again, values, cosines(vectors[:7], vectors))
    all_rows, all_scores = model.similar_users(MATRIX[:2], MATRIX, N=USERS)
    check_best(all_rows, all_scores, cosines(vectors[:2], vectors))


def test_threads_change_no_neighbour() -> None:
    data = far.datasets.synthetic(700, 200, 6000, random_state=1)
    runs = [far.NCEAutoRec(factors=8, num_threads=t).fit(data).similar_users(data, data, N=5) for t in (1, 3)]
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    np.testing.assert_array_equal(runs[0][1], runs[1][1])


@pytest.mark.parametrize("name", MODELS)
def test_users_without_items_are_nobodys_neighbours(name: str) -> None:
    some = MATRIX.tolil()
    some[[3, 8]] = 0
    some = sparse.csr_matrix(some)
    model = MODELS[name]().fit(MATRIX)
    rows, scores = model.similar_users(some, some, N=USERS)
    assert not np.isin(rows, [3, 8]).any()
    assert (rows[[3, 8]] == -1).all()
    assert np.isnan(scores[[3, 8]]).all()
    vectors = model.predict(some) if name == "EASE" else model.embed(some)
    known = (vectors != 0).any(axis=1) & (some.getnnz(axis=1) > 0)
    np.testing.assert_array_equal((rows >= 0).sum(axis=1), np.where(known, known.sum(), 0))


def test_histories_of_a_device(emulation: EmulatedDevice) -> None:
    model = far.PureSVD(factors=6, device="cuda").fit(MATRIX)
    there = EmulatedCsr.of(emulation, MATRIX)
    np.testing.assert_array_equal(
        model.similar_users(there, there, N=4)[0], model.similar_users(MATRIX, MATRIX, N=4)[0]
    )


def test_similar_users_by_name(data: far.Interactions) -> None:
    model = far.PureSVD(factors=6).fit(data)
    asked = data.user_ids[[7, 2]]
    rows, scores = model.similar_users(data.select(asked.tolist()), data, N=3)
    for given in (asked, asked.tolist(), tuple(asked.tolist())):
        table = model.similar_users_table(given, data, N=3)
        assert table.columns == ("user", "similar", "rank", "score")
        assert table["user"].tolist() == np.repeat(asked, 3).tolist()
        assert table["similar"].tolist() == data.user_ids[rows].ravel().tolist()
        np.testing.assert_array_equal(table["score"], scores.ravel())
        assert [row.user for row in table] == table["user"].tolist()
    assert table.to_dict()[asked.tolist()[0]] == data.user_ids[rows[0]].tolist()
    assert "6 users that are like 2" in table._repr_html_()
    one = asked.tolist()[0]
    assert model.similar_users_table(one, data, N=1)["similar"].tolist() == [one]
    assert model.similar_users_table(None, data, N=1).to_dict() == {user: [user] for user in data.user_ids.tolist()}
    assert len(model.similar_users_table([], data)) == 0


def test_similar_users_in_every_form_of_data(data: far.Interactions) -> None:
    model = far.PureSVD(factors=6).fit(data)
    histories = lists_of(data)
    asked = data.user_ids.tolist()[3:5]
    expected = list(model.similar_users_table(asked, data, N=4))
    backwards = data.with_items(data.item_ids[::-1])
    frame = pytest.importorskip("pandas", reason="pandas is not installed") and data.to_frame()
    for form in (histories, frame, backwards):
        got = list(model.similar_users_table(asked, form, N=4))
        assert [row[:3] for row in got] == [row[:3] for row in expected]
    new = {"somebody": histories[asked[0]], "nobody": []}
    table = model.similar_users_table(new, data, N=4)
    assert table["similar"].tolist() == [row.similar for row in expected[:4]]
    assert table.to_dict()["nobody"] == []
    bare = far.PureSVD(factors=6).fit(MATRIX)
    rows = bare.similar_users(MATRIX[[4]], MATRIX, N=3)[0]
    assert bare.similar_users_table(4, MATRIX, N=3)["similar"].tolist() == rows[0].tolist()


def test_users_by_name_who_are_refused(data: far.Interactions) -> None:
    model = far.PureSVD(factors=6).fit(data)
    one = data.user_ids.tolist()[0]
    text = isinstance(one, str)
    unknown = "new" if text else 10**9
    with pytest.raises(ValueError, match=f"1 of 2 are not among its {USERS}, such as {unknown!r}; a new user is asked"):
        model.similar_users_table([one, unknown], data)
    with pytest.raises(ValueError, match="`users` must be distinct"):
        model.similar_users_table([one, one], data)
    with pytest.raises(TypeError, match="the ids in `users` are"):
        model.similar_users_table(1 if text else "ann", data)
    with pytest.raises(TypeError, match="the users of `data` have no ids, only the row numbers"):
        far.PureSVD(factors=6).fit(MATRIX).similar_users_table("ann", MATRIX)
    strange = "strange" if isinstance(data.item_ids.tolist()[0], str) else 10**9
    known = data.item_ids[0].item() if not isinstance(strange, str) else str(data.item_ids[0])
    with pytest.warns(UserWarning, match=f"does not know 1 items in `users`, such as {strange!r}") as told:
        table = model.similar_users_table({"ann": [strange], "bob": [known]}, data, N=2)
    assert told[0].filename == __file__
    assert table["user"].tolist() == ["bob", "bob"]
    with pytest.raises(ValueError, match="Popularity knows no similar users"):
        far.Popularity().fit(data).similar_users_table(one, data)
    with pytest.raises(far.NotFittedError):
        far.PureSVD().similar_users_table(one, data)


def test_items_are_compared_by_id_and_bad_input_is_refused(data: far.Interactions) -> None:
    model = far.PureSVD(factors=6).fit(data)
    rows, _ = model.similar_users(data, data, N=2)
    assert data.user_ids[rows].shape == (USERS, 2)
    other = data.with_items(data.item_ids[::-1])
    for history, among, name in ((other, data, "history"), (data, other, "data")):
        with pytest.raises(ValueError, match=f"`{name}`"):
            model.similar_users(history, among)
    for wrong, error in ((0, ValueError), (USERS + 1, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="`N` must be"):
            model.similar_users(data, data, N=wrong)
    assert model.similar_users(data, data.user_items[:4], N=4)[0].shape == (USERS, 4)
    with pytest.raises(ValueError, match=f"histories of {USERS} users .* `data` of only 4: are .* such as N=4"):
        model.similar_users(data, data.user_items[:4])
    with pytest.raises(ValueError, match="`N` must be between 1 and 40, got 41; 40 is the number of users in `data`"):
        model.similar_users(data, data, N=USERS + 1)
    with pytest.raises(TypeError, match="`history` must be"):
        model.similar_users([1, 2], data)
    with pytest.raises(ValueError, match="`data` has 5 columns"):
        model.similar_users(MATRIX, MATRIX[:, :5])
    with pytest.raises(ValueError, match="Popularity knows no similar users: to it all users are the same"):
        far.Popularity().fit(data).similar_users(data, data)
    with pytest.raises(far.NotFittedError):
        far.PureSVD().similar_users(MATRIX, MATRIX)
