"""Parameters, list lengths and convergence: by hand, tables, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec.evaluation import convergence, convergence_time, evaluate_ranking, metric_at_k, parameter_effect

TRAIN, TEST = sparse.eye(4, 6, format="csr"), sparse.eye(4, 6, k=1, format="csr")


def finding(count, k=(1, 2), test=TEST):
    """A report of lists that find the item of the first ``count`` users, in the first place."""
    lists = np.array([[u + 1 if u < count else 5, 0] for u in range(4)])
    return evaluate_ranking(lists, TRAIN, test, k=k)


# --- parameters ------------------------------------------------------------------------------------------------------


def test_effect_of_a_number():
    reports = {100: finding(2), 5: finding(1), 20.5: finding(3)}
    effect = parameter_effect(reports, "N", "Recall@1")
    (curve,) = effect.curves.values()
    assert curve.values == effect.values == (5, 20.5, 100)
    np.testing.assert_array_equal(curve.mean, [0.25, 0.75, 0.5])
    # sample variance of p·4 ones among 4: 4 p (1 - p) / 3
    np.testing.assert_allclose(curve.half_width, [1.96 * np.sqrt(4 * p * (1 - p) / 3 / 4) for p in (0.25, 0.75, 0.5)])
    assert curve.best == 20.5
    assert effect.numeric
    assert [line.split()[0] for line in str(effect).splitlines()[1:]] == ["N", "5", "20.5", "100"]
    assert [line.endswith("*") for line in str(effect).splitlines()[2:]] == [False, True, False]


def test_effect_of_names_keeps_their_order_and_may_lack_some():
    reports = {"A": {"limited": finding(1), "joint": finding(2)}, "B": {"joint": finding(3)}}
    effect = parameter_effect(reports, "mode", "NDCG@1")
    assert not effect.numeric
    assert effect.values == ("limited", "joint")
    assert effect.curves["B"].values == ("joint",)
    assert repr(effect) == "<Effect of mode on NDCG@1, A, B>"
    assert [line.split() for line in str(effect).splitlines()[1:]] == [
        ["mode", "A", "B"],
        ["limited", "0.2500", "±0.4900"],
        ["joint", "0.5000", "±0.5658*", "0.7500", "±0.4900*"],
    ]
    pytest.importorskip("pandas", reason="to_frame needs pandas")
    frame = effect.to_frame()
    assert list(frame["series"]) == ["A", "A", "B"]
    assert list(frame["mode"]) == ["limited", "joint", "joint"]
    assert list(frame["mean"]) == [0.25, 0.5, 0.75]


def test_effects_that_cannot_be_shown():
    with pytest.raises(TypeError, match="`reports` must be a dict from values of the parameter, got list"):
        parameter_effect([finding(1)], "N")
    with pytest.raises(ValueError, match="at least one report"):
        parameter_effect({}, "N")
    with pytest.raises(ValueError, match="at least one report"):
        parameter_effect({"a": {}}, "N")
    with pytest.raises(TypeError, match="must be a dict of reports"):
        parameter_effect({"a": 1}, "N")
    with pytest.raises(TypeError, match=r"numbers or names as values of the parameter, got \[1, 'x'\]"):
        parameter_effect({1: finding(1), "x": finding(1)}, "N")
    with pytest.raises(ValueError, match="only numbers or only names as values of N, got both"):
        parameter_effect({"a": {1: finding(1)}, "b": {"x": finding(1)}}, "N")
    with pytest.raises(ValueError, match=r"got 'NDCG@7' \(the report 'a'\)"):
        parameter_effect({"a": {1: finding(1)}}, "N", "NDCG@7")
    other = sparse.eye(4, 6, k=2, format="csr")
    with pytest.raises(ValueError, match="the same train and test data"):
        parameter_effect({1: finding(1), 2: finding(1, test=other)}, "N")
    with pytest.raises(ValueError, match="at least one report"):
        parameter_effect({"a": {1: finding(1)}, "b": {}}, "N")


# --- list lengths ----------------------------------------------------------------------------------------------------


def test_f1_at_every_length_by_hand():
    found = metric_at_k({"a": finding(4), "b": finding(2)})
    assert (found.models, found.k) == (("a", "b"), (1, 2))
    # a hit is all there is to find: F1@1 is 1, F1@2 is 2 · (1/2) · 1 / (3/2)
    np.testing.assert_allclose(found.mean, [[1, 2 / 3], [1 / 2, 1 / 3]])
    np.testing.assert_allclose(found.half_width[0], [0, 0], atol=1e-15)
    np.testing.assert_allclose(found.half_width[1, 0], 1.96 * np.sqrt(1 / 3) / 2)
    assert metric_at_k(finding(4), "Recall").mean.tolist() == [[1, 1]]
    assert str(found).splitlines()[0].split() == ["F1@1", "F1@2"]


def test_lengths_that_cannot_be_shown():
    with pytest.raises(ValueError, match=r"the same k, got \(1, 2\) of 'a' and \(2,\) of 'b'; use report.at"):
        metric_at_k({"a": finding(1), "b": finding(1, k=2)})
    with pytest.raises(ValueError, match=r"got 'MAE@1' \(the report 'model'\)"):
        metric_at_k(finding(1), "MAE")


# --- convergence -----------------------------------------------------------------------------------------------------


def epochs(phase, metrics, seconds=1.0, first=1):
    return [
        {"phase": phase, "epoch": number, "seconds": seconds, "loss": 1.0, "metric": metric}
        for number, metric in enumerate(metrics, first)
    ]


def test_convergence_of_one_phase_by_hand():
    start = [{"phase": "joint", "epoch": 0, "seconds": 50.0, "metric": 0.01}]  # judged only: no training
    history = start + epochs("joint", [0.1, 0.19, 0.198, 0.2, 0.15], seconds=0.5)
    assert convergence_time(history) == 2.0  # 0.199 is first reached by 0.2, after four epochs
    assert convergence_time(history, share=0.99) == 1.5
    assert convergence_time(history, share=0.95) == 1.0
    assert convergence_time(history, share=0.04) == 0.0  # before the first epoch
    assert convergence_time(history, share=1) == 2.0


def test_an_embedding_phase_before_a_trained_head_costs_time_but_has_no_say():
    history = epochs("embedding", [0.5, 0.9], seconds=2.0)
    history += [{"phase": "prediction", "epoch": 0, "seconds": 9.0, "metric": 0.0}]
    history += epochs("prediction", [0.2, 0.3], seconds=1.0)
    assert convergence_time(history) == 2 * 2 + 2 * 1
    assert convergence({"limited": history}).rows[0].best == 0.3


def test_an_embedding_phase_that_an_exact_head_judges_counts():
    solved = [{"phase": "prediction", "epoch": 0, "seconds": 0.25, "regularization": 0.1, "metric": 0.2}]
    history = [{"phase": "embedding", "epoch": 0, "seconds": 0.5}, *solved]  # the exact start
    history += [{"phase": "embedding", "epoch": 0, "seconds": 7.0, "metric": 0.2}]
    history += epochs("embedding", [0.3, 0.4])
    history += solved
    assert convergence_time(history, share=0.5) == 0.75
    assert convergence_time(history) == 2.75
    (row,) = convergence({"limited": history}).rows
    assert (row.best, row.epochs, row.total_seconds) == (0.4, 2, 3.0)


def test_convergence_of_several():
    quick, slow = epochs("joint", [0.2, 0.1], 0.1), epochs("joint", [0.1, 0.2], 1.0)
    found = convergence({"NS": {"joint": quick, "full": slow}, "NCE": {"joint": slow}}, shares=(0.5, 1))
    assert [(row.series, row.label, row.seconds) for row in found.rows] == [
        ("NS", "joint", (0.1, 0.1)),
        ("NS", "full", (1.0, 2.0)),
        ("NCE", "joint", (1.0, 2.0)),
    ]
    lines = str(found).splitlines()
    assert lines[0].split("  ")[-1].strip() == "epochs"
    assert lines[1].split() == ["NS", "joint", "0.2000", "0.100", "0.100", "0.200", "2"]
    assert str(convergence({"joint": slow})).splitlines()[1].split()[0] == "joint"
    pytest.importorskip("pandas", reason="to_frame needs pandas")
    frame = found.to_frame()
    assert list(frame["seconds_to_0.5"]) == [0.1, 1.0, 1.0]
    assert list(frame["label"]) == ["joint", "full", "joint"]


@pytest.mark.parametrize("mode", ["joint", "alternating", "limited", "full"])
@pytest.mark.parametrize("solver", ["exact", "gradient"])
@pytest.mark.parametrize("init", ["svd", "random"])
def test_convergence_of_real_trainings(mode, solver, init):
    train, valid = far.split(far.datasets.synthetic(150, 60, 2000, random_state=1), ratios=(0.7, 0.3), by="random")
    model = far.NCEAutoRec(factors=8, mode=mode, solver=solver, init=init, epochs=3, patience=3, num_threads=1)
    history = model.fit(train, validation=valid).history_
    (row,) = convergence({mode: history}, shares=(0.5, 0.995, 1)).rows
    assert 0 <= row.seconds[0] <= row.seconds[1] <= row.seconds[2] <= row.total_seconds
    trained = [record["seconds"] for record in history if record["epoch"]]
    assert row.epochs == len(trained) > 0
    assert row.total_seconds >= sum(trained)
    last = [record["metric"] for record in history if record.get("restored") and record["phase"] != "embedding"]
    if last:  # the state that was kept is the best of the head that recommends, or comes from the exact start
        assert row.best >= last[-1]


def test_histories_that_tell_nothing():
    with pytest.raises(TypeError, match=r"`history` must be a list of records \(model.history_\), got NCEAutoRec"):
        convergence_time(far.NCEAutoRec())
    with pytest.raises(ValueError, match="records with phase, epoch and seconds"):
        convergence_time([{"epoch": 1}])
    for history in ([], [{"phase": "joint", "epoch": 1, "seconds": 1.0, "loss": 0.1}]):
        with pytest.raises(ValueError, match=r"no validation metric; fit with validation="):
            convergence_time(history)
    with pytest.raises(ValueError, match=r"`share` must be > 0 and <= 1, got 1\.5"):
        convergence_time(epochs("joint", [0.1]), share=1.5)
    with pytest.raises(TypeError, match="`histories` must be a dict of histories, got list"):
        convergence([])
    with pytest.raises(ValueError, match="at least one history"):
        convergence({})
    with pytest.raises(ValueError, match="at least one share"):
        convergence({"a": epochs("joint", [0.1])}, shares=())
