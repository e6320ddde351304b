"""The published factors of two models, scored and evaluated here, give their published table rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from fastautorec._compute import get_backend
from fastautorec._compute.inputs import check_user_items
from fastautorec._compute.top_lists import top_lists
from fastautorec.evaluation import evaluate_ranking

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "ml-1m-nceplrec"
FACTORS = {"NCE-PLRec": 100, "PureSVD": 50}
K = (5, 10, 15, 20, 50)
METRICS = ["R-Precision", "NDCG", *(f"{family}@{k}" for family in ("MAP", "Precision", "Recall") for k in K)]

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the published ML-1M factors are not on this machine")


class FactorScorer:
    """Scores U Vᵀ of consecutive users."""

    def __init__(self, users, items):
        self.users, self.items, self.n_items = users, items, len(items)

    def prepare(self, backend, history):
        return self.users[history.user_numbers()]

    def score(self, backend, prepared, users, items, out):
        np.matmul(prepared[users], self.items[items].T, out=out)


@pytest.fixture(scope="module")
def data():
    train, valid, test = (sparse.load_npz(DATA / f"R{part}.npz").tocsr() for part in ("train", "valid", "test"))
    return train + valid, test


@pytest.fixture(scope="module", params=FACTORS)
def row(request, data):
    """The published row of one model and its report by us."""
    model, (seen, test) = request.param, data
    users, items = (np.load(DATA / f"{side}_{model}_{FACTORS[model]}.npy").astype(np.float32) for side in "UV")
    lists = np.empty((len(users), max(K)), np.int32)

    def store(start, stop, ids, scores):
        lists[start:stop] = ids

    history = check_user_items("train", seen)
    top_lists(get_backend("cpu", 2), FactorScorer(users, items), history, lambda *_: max(K), history, store)
    with (DATA / "published_movielens1m_result.csv").open() as file:
        published = next(line for line in csv.DictReader(file) if line["model"] == model)
    report = evaluate_ranking(lists, seen, test, k=K, definition="paper")
    return {name: json.loads(published[name]) for name in METRICS}, report


@pytest.mark.parametrize("metric", METRICS)
def test_figures_are_the_published_ones(row, metric):
    published, report = row
    mean, half_width = published[metric]
    assert f"{report[metric].mean:.4f}" == f"{mean:.4f}"
    assert f"{report[metric].half_width:.4f}" == f"{half_width:.4f}"


def test_devices_agree(data):
    seen, test = data
    lists = np.argsort(np.random.default_rng(0).random(seen.shape), axis=1)[:, :50]
    reports = [evaluate_ranking(lists, seen, test, definition="standard", device=d) for d in ("cpu", "reference")]
    for name in reports[0]:
        np.testing.assert_allclose(reports[0][name].per_user, reports[1][name].per_user, rtol=1e-12, atol=1e-14)
