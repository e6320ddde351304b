"""Material for the tests of figures: reports, histories, and a call for each figure."""

from __future__ import annotations

import numpy as np
from scipy import sparse

import fastautorec as far
from fastautorec import plots
from fastautorec.evaluation import (
    by_history_length,
    by_item_popularity,
    compare_users,
    convergence,
    evaluate_ranking,
    metric_at_k,
    parameter_effect,
    popularity_distribution,
    popularity_tradeoff,
)


def make_reports():
    rng = np.random.default_rng(0)
    train = rng.random((150, 40)) < 0.02 + 0.4 * np.linspace(0, 1, 40) ** 3
    train[:, 39] = True
    test = ~train & (rng.random((150, 40)) < 0.2)
    train, test = sparse.csr_matrix(train.astype(np.float32)), sparse.csr_matrix(test.astype(np.float32))
    lists = {
        name: np.argsort(rng.random((150, 40)) * np.linspace(1, slope, 40)) for name, slope in (("A", 1), ("B", 3))
    }
    return {name: evaluate_ranking(ids, train, test, k=(5, 10)) for name, ids in lists.items()}


def make_history(seed):
    metrics = np.random.default_rng(seed).random(6)
    return [{"phase": "joint", "epoch": e, "seconds": 0.3, "metric": m} for e, m in enumerate(metrics, 1)]


def make_effect(values, series=("A", "B")):
    return parameter_effect({name: dict.fromkeys(values, REPORTS[name]) for name in series}, "N")


def make_tradeoff():
    train, test = far.split(far.datasets.synthetic(80, 40, 1200, random_state=1), (0.7, 0.3), by="random")
    return popularity_tradeoff(far.NCEAutoRec(factors=8).fit(train), train, test, [-0.2, 0, 0.4, 0.8], k=20)


REPORTS = make_reports()
PAIR = compare_users(*REPORTS.values(), names=("A", "B"))
HISTORIES = {"NS": {"joint": make_history(0), "full": make_history(1)}, "NCE": {"joint": make_history(2)}}
DRAW = {
    "popularity": lambda **o: plots.popularity(popularity_distribution(REPORTS), **o),
    "tradeoff": lambda **o: plots.popularity_tradeoff(make_tradeoff(), **o),
    "users": lambda **o: plots.user_comparison(PAIR, **o),
    "three pairs of users": lambda **o: plots.user_comparison([PAIR] * 3, **o),
    "history": lambda **o: plots.history_length(by_history_length(REPORTS), **o),
    "items": lambda **o: plots.item_popularity(by_item_popularity(REPORTS), **o),
    "numbers": lambda **o: plots.effect(make_effect((5, 50, 5000)), **o),
    "names": lambda **o: plots.effect(make_effect(("joint", "full")), **o),
    "names of one model": lambda **o: plots.effect(make_effect(("joint", "full"), ("A",)), **o),
    "bars": lambda **o: plots.metric_bars(metric_at_k(REPORTS), **o),
    "convergence": lambda **o: plots.convergence(convergence(HISTORIES), **o),
    "convergence to one share": lambda **o: plots.convergence(convergence(HISTORIES, shares=[0.995]), **o),
}
