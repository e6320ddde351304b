"""The choice among models: the same data for all, nobody judges twice, and who is left out says why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec.models import _memory_plan
from fastautorec.tuning import _select

DATA = far.datasets.synthetic(150, 60, 3000, random_state=3)
FEW = {"popular": far.Popularity(), "ease": far.EASE(), "tfidf": far.ItemKNN(similarity="tfidf")}


class Spy(far.Popularity):
    """Notes what it is fitted to."""

    seen: list[tuple[Any, Any]]

    def fit(self, user_items: Any, validation: Any = None, **options: Any) -> Spy:  # type: ignore[override]
        self.seen.append((user_items, validation))
        return super().fit(user_items, validation, **options)


def spied(data: Any, **options: Any) -> tuple[far.Selection, list[tuple[Any, Any]]]:
    Spy.seen = []
    return far.select(data, Spy(), **options), Spy.seen


def by_data_alone(found: far.Selection) -> list[dict[str, Any]]:
    """Return rows without what depends on time and threads."""
    left_out = ("seconds", "model", "bytes")
    return [{name: value for name, value in row.items() if name not in left_out} for row in found.rows]


def test_what_is_known_what_searches_and_what_compares() -> None:
    found, [(known, searched), (everything, no_validation)] = spied(DATA)
    held = (DATA - known).tocsr()
    assert everything is DATA
    assert no_validation is None
    assert (known + held != DATA).nnz == 0
    assert held.nnz == np.ceil(0.1 * DATA.nnz)
    assert searched.nnz > 0
    assert (held - searched).min() == 0  # a part of it
    searchers, compared = np.flatnonzero(np.diff(searched.indptr)), found.reports["Spy()"].users
    everybody = np.flatnonzero(held.getnnz(axis=1))
    np.testing.assert_array_equal(np.sort(np.concatenate([searchers, compared])), everybody)
    assert len(searchers) == len(everybody) // 2


def test_the_latest_are_held_out() -> None:
    dated = far.Interactions(DATA, timestamps=np.random.default_rng(0).permutation(DATA.nnz))
    _, [(known, searched), _] = spied(dated)
    times = sparse.csr_matrix((dated.timestamps + 1, DATA.indices, DATA.indptr), DATA.shape)
    latest_known = times.multiply(known.user_items).max(axis=1).toarray().ravel()
    searches = np.diff(searched.user_items.indptr) > 0
    for user in np.flatnonzero(searches):
        own = times[user].multiply(searched.user_items[user])
        assert own.data.min() > latest_known[user]


def test_rows_are_what_the_reports_say() -> None:
    found = far.select(DATA, FEW, metric="Recall@5")
    names = [row["model"] for row in found.rows]
    assert found.best == names[0]
    assert all(row["further_metric"] is None for row in found.rows)  # none is close
    assert [row["metric"] for row in found.rows] == sorted((row["metric"] for row in found.rows), reverse=True)
    for row in found.rows:
        report = found.reports[row["model"]]
        pair = far.compare(report, found.reports[found.best])["Recall@5"]
        assert (row["metric"], row["half_width"]) == (report["Recall@5"].mean, report["Recall@5"].half_width)
        assert (row["difference"], row["low"], row["high"]) == (pair.difference, pair.low, pair.high)
        assert row["bytes"] > 0
        assert row["error"] is None
    assert found.rows[names.index("popular")]["high"] < 0  # or the data could not tell anything


def test_close_candidates_are_told_apart_by_further_parts() -> None:
    models = {"a": far.EASE(regularization=20.0), "b": far.EASE(regularization=21.0), "popular": far.Popularity()}
    found = far.select(DATA, models, metric="Recall@5")
    first, second, last = found.rows
    assert [last["model"], last["further_metric"]] == ["popular", None]
    assert first["further_metric"] >= second["further_metric"]
    assert second["difference"] == pytest.approx(second["further_metric"] - first["further_metric"])
    assert second["low"] <= second["difference"] <= second["high"]
    assert last["difference"] == pytest.approx(last["metric"] - first["metric"])
    assert found.in_words().startswith(f"{found.best} has the best Recall@5 on further parts, ")
    assert "further parts" in str(found)
    again = far.select(DATA, dict(reversed(models.items())), metric="Recall@5")  # the parts are the same
    assert [row["further_metric"] for row in again.rows] == [row["further_metric"] for row in found.rows]


def test_further_parts_are_new_ones_and_those_who_searched_do_not_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[Any] = []
    spy = _select.evaluate

    def note(model: Any, known: Any, wanted: Any, **options: Any) -> Any:
        judged.append((known, wanted))
        return spy(model, known, wanted, **options)

    monkeypatch.setattr(_select, "evaluate", note)
    found = far.select(DATA, {"a": far.EASE(regularization=20.0), "b": far.EASE(regularization=21.0)})
    parts = judged[2::2]
    assert len(parts) == len(judged[3::2]) == _select.FURTHER_PARTS
    compares = np.zeros(DATA.shape[0], bool)
    compares[found.reports["a"].users] = True
    for known, wanted in parts:
        assert ((known + wanted) != DATA).nnz == 0
        assert not wanted[~compares].nnz
        assert 0 < wanted.nnz <= np.ceil(DATA.nnz / 30)
    assert len({part.indices.tobytes() + part.indptr.tobytes() for _, part in parts}) == len(parts)


def test_dated_data_have_one_latest_part() -> None:
    dated = far.Interactions(DATA, timestamps=np.random.default_rng(0).permutation(DATA.nnz))
    found = far.select(dated, {"a": far.EASE(regularization=20.0), "b": far.EASE(regularization=21.0)})
    assert not found.rows[1]["high"] < 0
    assert all(row["further_metric"] is None for row in found.rows)


def test_the_winner_is_fitted_to_everything() -> None:
    found = far.select(DATA, {"ease": far.EASE(), "dlae": far.DLAECV(prior=0, target_weight=0, input_weight=0)})
    assert {name: type(model) for name, model in found.models.items()} == {"ease": far.EASE, "dlae": far.DLAE}
    assert not any(hasattr(model, "n_items_") for model in found.models.values())
    again = found.models[found.best].fit(DATA)
    np.testing.assert_array_equal(found.best_model.predict(DATA), again.predict(DATA))
    row = found.rows[0]
    assert {name: found.best_model.get_params()[name] for name in row["params"]} == row["params"]
    assert row["settings"] > 1


def test_the_search_ends_where_no_neighbour_is_better() -> None:
    _, [(known, searched), _] = spied(DATA)
    found = far.select(DATA, far.EASE(num_threads=1), metric="Recall@10")
    grid = np.geomspace(1, 1e4, 13)
    place = int(np.flatnonzero(grid == found.best_model.get_params()["regularization"])[0])
    own, *others = (
        far.evaluate(far.EASE(regularization=float(value)).fit(known), known, searched, k=10)["Recall@10"].mean
        for value in grid[[place, max(place - 1, 0), min(place + 1, 12)]]
    )
    assert all(other <= own * 1.001 for other in others)


def test_all_words_and_no_more_than_what_is_open() -> None:
    found = far.select(DATA, [far.ItemKNN(K=20), far.ItemKNN(K=20, similarity="bm25"), far.EASE(regularization=7)])
    settings = {row["model"]: (row["settings"], row["params"]) for row in found.rows}
    assert settings["ItemKNN(K=20)"][0] == 3
    assert settings["ItemKNN(K=20, similarity='bm25')"] == settings["EASE(regularization=7)"] == (1, {})


def test_models_stay_as_they_are() -> None:
    models = [far.EASE(), far.NCEAutoRecCV(factors=[4, 8], popularity_discount=0.1)]
    before = [dict(vars(model)) for model in models]
    found = far.select(DATA, models, metric="Recall@5", timeout=0)
    assert [dict(vars(model)) for model in models] == before
    assert [row["settings"] for row in found.rows if row["model"] == "EASE()"] == [1]


def test_same_seed_same_choice_for_any_number_of_threads() -> None:
    make = [far.EASE, far.ItemKNN, lambda **given: far.NCEAutoRecCV(factors=[4, 8], **given)]
    one, more = (far.select(DATA, [new(num_threads=k) for new in make], random_state=5) for k in (1, 3))
    assert by_data_alone(one) == by_data_alone(more)
    np.testing.assert_array_equal(one.best_model.predict(DATA), more.best_model.predict(DATA))


def test_who_is_left_out_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("implicit", "implicit.cpu", "implicit.cpu.als"):
        monkeypatch.setitem(sys.modules, module, None)
    models = {"ALS": far.baselines.WRMF(factors=8), "large": far.NCEAutoRec(factors=999), "popular": far.Popularity()}
    found = far.select(DATA, models)
    assert [(row["model"], row["state"]) for row in found.rows] == [
        ("popular", "fitted"), ("ALS", "left out"), ("large", "left out"),
    ]  # fmt: skip
    assert "pip install" in found.rows[1]["error"]
    assert "`factors`" in found.rows[2]["error"]
    assert "ALS was left out: " in str(found)
    monkeypatch.setattr(_memory_plan, "available_bytes", lambda: 1000)
    with pytest.raises(ValueError, match="none of the 1 `models` could be fitted; ease: EASE needs some"):
        far.select(DATA, {"ease": far.EASE()})


@pytest.mark.parametrize("fits", [99, 1, 4, 7])  # never, in a further part, the first or another, with all data
def test_who_fails_late_is_left_out(fits: int) -> None:
    class Fails(far.EASE):
        made = 0

        def fit(self, *args: Any, **options: Any) -> Fails:  # type: ignore[override]
            Fails.made += 1
            if Fails.made > fits:
                raise MemoryError("no  room")
            super().fit(*args, **options)
            return self

    few = far.datasets.synthetic(300, 100, 6000, random_state=0)
    found = far.select(few, {"ease": far.EASE(99.0), "fails": Fails(100.0)})
    assert Fails.made == min(8, fits + 1)  # the search, six parts, all data
    assert found.best == ("fails" if fits == 99 else "ease")
    assert found.rows[0]["difference"] == 0
    assert found.best_model.item_weights_.shape == (100, 100)
    if fits < 99:
        assert found.rows[1] == {"model": "fails", "state": "left out", "error": "no room"}
        assert list(found.models) == list(found.reports) == ["ease"]
        assert "fails was left out: no room" in str(found)
    Fails.made = fits - 1  # one fit is left: that of the search
    if fits < 99:
        with pytest.raises(ValueError, match="none of the 1 `models` could be fitted; fails: no room"):
            far.select(few, {"fails": Fails(100.0)})


def test_default_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_select, "DLAE_SIDE", 50)
    found = far.select(far.datasets.synthetic(60, 55, 900, random_state=0), metric="Recall@5", timeout=0)
    names = ("Popularity", "ItemKNN", "RP3beta", "EASE", "DLAECV", "NCEAutoRecCV")
    assert {row["model"] for row in found.rows} == {f"{name}()" for name in names}
    assert "55 of both users and items, and from 50 on" in found.rows[-1]["error"]
    assert _select._too_large(dict.fromkeys(["EASE()", "RP3beta()"]), 9, 30_000).keys() == {"EASE()"}


def test_ids_and_equal_models() -> None:
    named = far.Interactions(DATA, item_ids=[f"i{i}" for i in range(60)])
    with pytest.warns(UserWarning, match="NDCG is .*, the same for all 2 models: it chose nothing"):
        found = far.select(named, {"a": far.Popularity(), "b": far.Popularity()})
    assert found.best == "a"
    assert found.rows[1]["difference"] == 0
    assert found.best_model.item_names(np.array([3])).tolist() == ["i3"]


@pytest.mark.parametrize("shape", [(40, 12), (4, 30)])
def test_everybody_alike(shape: tuple[int, int]) -> None:
    with pytest.warns(UserWarning, match="NDCG is 1, the same for all 3 models: it chose nothing"):
        found = far.select(sparse.csr_matrix(np.ones(shape, np.float32)), FEW)
    assert {row["state"] for row in found.rows} == {"fitted"}


@pytest.mark.parametrize(
    ("data", "models", "options", "error", "message"),
    [
        (DATA, [], {}, ValueError, "`models` must hold at least one"),
        (DATA, [far.EASE], {}, TypeError, r"`models` must be recommenders .* EASE\(\)"),
        (DATA, [far.EASE(), far.EASE()], {}, ValueError, "`models` must differ"),
        (DATA, {"a": far.EASE(), "b": far.ItemKNN(K=0)}, {}, ValueError, "`K` must be >= 1, got 0"),
        (DATA, far.EASE(), {"metric": "AUC"}, ValueError, "`metric` must be"),
        (DATA, far.EASE(), {"timeout": -1}, ValueError, "`timeout` must be >= 0, got -1"),
        (DATA, far.EASE(), {"show_progress": 2}, TypeError, "`show_progress` must be"),
        (DATA.toarray(), far.EASE(), {}, TypeError, "`data` must be"),
        (DATA[:1], far.EASE(), {}, ValueError, "`data` must have 4 users or more .* got 1 among 1 users"),
        (sparse.identity(9, np.float32, "csr"), None, {}, ValueError, "held out, got 0 among 9 users"),
        (DATA[:, :1], None, {}, ValueError, "held out, got 0 among"),
    ],
)
def test_bad_input(data: Any, models: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        far.select(data, models, **options)


def test_ctrl_c_ends_it() -> None:
    class Stop(far.Popularity):
        def fit(self, *_: Any, **__: Any) -> far.Popularity:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        far.select(DATA, [far.EASE(), Stop()])


def test_table_frame_and_picture(tmp_path: Path) -> None:
    found = far.select(DATA, {**FEW, "<b>": far.NCEAutoRec(factors=999)})
    lines = str(found).splitlines()
    assert lines[0].startswith(f"{found.best} has the best NDCG, 0.")
    assert lines[2].split() == ["NDCG", "minus", "the", "best", "settings", "seconds", "MB"]
    assert [line.split()[0] for line in lines[3:6]] == [row["model"] for row in found.rows[:3]]
    assert lines[-1] == f"chosen: {found.best_model!r}"
    assert "&lt;b&gt; was left out: " in found._repr_html_()
    pytest.importorskip("pandas", reason="frames are of pandas")
    assert found.to_frame().loc[found.best, "metric"] == found.rows[0]["metric"]
    pytest.importorskip("matplotlib", reason="pictures are of matplotlib")
    figure = found.plot(tmp_path / "found.png")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [row["model"] for row in found.rows]
    assert (tmp_path / "found.png").stat().st_size > 1000


def test_the_fastest_of_those_that_are_not_worse() -> None:
    found = far.select(DATA, FEW)
    close = [row for row in found.rows if not row["high"] < 0]
    assert found.fastest == min(close, key=lambda row: row["seconds"])["model"]
    for row in found.rows:
        row["seconds"] = 1.0 if row["model"] == found.best else 2.0
    assert "is not shown" not in found.in_words()
    found.rows[1] |= {"seconds": 0.5, "high": 0.1}
    assert f"; {found.rows[1]['model']} is not shown to be worse, " in found.in_words()
