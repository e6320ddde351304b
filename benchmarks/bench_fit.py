"""Fitting: whole fits, epochs, and the time to the best validation NDCG, each next to its peers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

import fastautorec as far
from benchmarks import _quality
from benchmarks._common import THREADS, Measure, Sizes, gowalla, knows
from benchmarks._targets import closed_form, joint_epoch
from benchmarks._training import Training
from fastautorec._training.epochs import EMBEDDING, MODES, PREDICTION

K = (5, 10, 15, 20, 50)
LISTED = 20  # as published for Gowalla
PENALTY = 500.0  # of EASE, in interactions
RANK, OVERSAMPLING, ITERATIONS = 50, 16, 4  # the settings of PureSVD's subspace iteration, for its peer too
ENERGY = 0.99  # of a randomized SVD at least, as a share of the exact one's
EXPECTED_NDCG = 0.184  # of NCEAutoRec() on ML-1M, "paper" definition
NEEDS_TORCH = "the peer is PyTorch; pip install 'fastautorec[torch]'"
NEEDS_RECBOLE = "the peer is RecBole; pip install recbole"


# --- whole fits -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known(data):
    return data.known


@pytest.fixture(scope="module")
def popularity_ndcg(data, known):
    return ndcg(far.Popularity().fit(known), data, known)


def recall(model, train, test):
    return far.evaluate(model, train, test, k=LISTED)[f"Recall@{LISTED}"].mean


def ndcg(model, data, known):
    return far.evaluate(model, known, data.test, k=K, definition="paper")["NDCG"].mean


def test_default(data, known, measure, popularity_ndcg):
    model = measure(lambda: far.NCEAutoRec().fit(known), table="fit", row=data.name, column="NCEAutoRec()")
    reached = ndcg(model, data, known)
    measure.note(ndcg=reached, **closed_form(*known.shape, known.nnz, model.factors))
    assert reached > (EXPECTED_NDCG if data.name == "ML-1M" else popularity_ndcg)


IMPLICIT: dict[str, tuple[str, str, dict[str, Any]]] = {  # module, class, what differs from its defaults
    "implicit ALS, 64 factors": ("als", "AlternatingLeastSquares", {"factors": 64}),
    "implicit ALS, 200 factors": ("als", "AlternatingLeastSquares", {"factors": 200}),
    "implicit BPR, 64 factors": ("bpr", "BayesianPersonalizedRanking", {"factors": 64}),
}


def implicit_fit(name: str, matrix: Any) -> Callable[[], Any]:
    """Return a fit of a model of implicit, with its own number of iterations."""
    module, kind, options = IMPLICIT[name]
    library = pytest.importorskip(f"implicit.{module}", reason="the peer is implicit; pip install implicit")

    def fit() -> Any:
        model = getattr(library, kind)(num_threads=THREADS, random_state=0, **options)
        model.fit(matrix, show_progress=False)
        return model

    return fit


@pytest.mark.parametrize("name", IMPLICIT)
def test_implicit(name, data, known, measure, popularity_ndcg):
    """BLAS on one thread, as its documentation asks."""
    fit = implicit_fit(name, known)
    with threadpool_limits(1, "blas"):
        model = measure(
            fit, table="fit", row=data.name, column=name, against=lambda: far.NCEAutoRec().fit(known)
        )  # fmt: skip
        lists, _ = model.recommend(np.arange(known.shape[0]), known, N=max(K))
    reached = far.evaluate_ranking(lists, known, data.test, k=K, definition="paper")["NDCG"].mean
    measure.note(ndcg=reached, iterations=model.iterations)
    assert knows(model.user_factors[:200] @ model.item_factors.T, known[:200])
    if data.name == "ML-1M" and "ALS" in name:  # drawn data is mostly popularity, which BPR learns against
        assert reached > popularity_ndcg


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
def test_ease_by_numpy(data, known, dtype, measure, ease):
    def fit():
        system = (known.T @ known).toarray().astype(dtype)
        system[np.diag_indices_from(system)] += dtype(PENALTY)
        inverse = np.linalg.inv(system)
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return weights

    weights = measure(
        fit, table="fit", row=data.name, column=f"EASE by NumPy inverse, {dtype.__name__}",
        against=lambda: far.NCEAutoRec().fit(known),
    )  # fmt: skip
    measure.note(ndcg=ndcg(ease, data, known))  # of the same weights
    assert weights.dtype == dtype
    assert_allclose(weights, ease.item_weights_, atol=1e-4)


@pytest.fixture(scope="module")
def ease(known):
    return far.EASE(regularization=PENALTY).fit(known)


def test_ease(data, known, measure, popularity_ndcg):
    model = measure(
        lambda: far.EASE(regularization=PENALTY).fit(known), table="fit", row=data.name, column="EASE()"
    )  # fmt: skip
    reached = ndcg(model, data, known)
    measure.note(ndcg=reached)
    assert reached > popularity_ndcg


@pytest.fixture(scope="module")
def checkins(sizes):
    return gowalla(sizes.quick)


def test_default_gowalla(checkins, measure):
    name, train, test = checkins
    model = measure(lambda: far.NCEAutoRec().fit(train), table="fit", row=name, column="NCEAutoRec()")
    measure.note(recall=recall(model, train, test), **closed_form(*train.shape, train.nnz, model.factors))
    assert knows(model.predict(train[:200]), train[:200])


def test_implicit_gowalla(checkins, measure):
    name, train, test = checkins
    fit = implicit_fit("implicit ALS, 64 factors", train)
    with threadpool_limits(1, "blas"):
        model = measure(
            fit, table="fit", row=name, column="implicit ALS, 64 factors", against=lambda: far.NCEAutoRec().fit(train)
        )  # fmt: skip
        lists, _ = model.recommend(np.arange(train.shape[0]), train, N=LISTED)
    reached = far.evaluate_ranking(lists, train, test, k=LISTED)[f"Recall@{LISTED}"].mean
    measure.note(recall=reached, iterations=model.iterations)
    assert knows(model.user_factors[:200] @ model.item_factors.T, train[:200])


def test_pure_svd(data, known, measure, best_energy):
    column = f"PureSVD(factors={RANK})"
    model = measure(lambda: far.PureSVD(factors=RANK).fit(known), table="svd", row=data.name, column=column)
    reached = energy(known, model.encoder_) / best_energy
    measure.note(ndcg=ndcg(model, data, known), energy=reached)
    assert reached > ENERGY


def test_randomized_svd(data, known, measure, best_energy):
    """The same number of products with the matrix and its transpose."""
    extmath = pytest.importorskip("sklearn.utils.extmath")
    options = {"n_oversamples": OVERSAMPLING, "n_iter": ITERATIONS, "random_state": 0}
    _, _, vt = measure(
        lambda: extmath.randomized_svd(known, RANK, **options),
        table="svd", row=data.name, column="scikit-learn randomized_svd",
        against=lambda: far.PureSVD(factors=RANK).fit(known),
    )  # fmt: skip
    reached = energy(known, vt.T) / best_energy
    measure.note(energy=reached)
    assert reached > ENERGY


@pytest.fixture(scope="module")
def best_energy(known):
    """What the exact leading singular vectors hold."""
    return energy(known, svds(known, RANK, random_state=0)[2].T)


def energy(matrix, vectors):
    """Return how much of the squared norm of the matrix the directions hold."""
    return float(np.square(matrix @ np.asarray(vectors, np.float64)).sum())


# --- epochs -----------------------------------------------------------------------------------------------------------

SAME = 1e-3  # relative difference of losses after an epoch of float32
FASTEST = "PyTorch, items looked up"
PEERS = {  # what differs from the fastest version in dense_torch.py
    FASTEST: {},
    "PyTorch, dense input": {"lookup": False},
    "PyTorch, dense input, default Adam": {"lookup": False, "fused": False},
}
NCE, NS, AUTOREC = "NCEAutoRec, joint", "NSAutoRec, joint", "AutoRec"
BATCH_NUMBERS = range(3)  # of the batch sizes


def trained(name: str, batch: int, sizes: Sizes) -> Any:
    """Return a model as the paper trains it, all of it in one step for a batch."""
    settings = {"factors": sizes.units, "batch_size": batch}
    if name == AUTOREC:
        return far.AutoRec.paper(**settings)
    if name == NS:
        return far.NSAutoRec.paper(mode="joint", negatives=sizes.draws, **settings)
    return far.NCEAutoRec.paper(mode="joint", **settings)


@pytest.fixture(scope="module")
def trainings(known, sizes):
    """Return the training of a model, and what ours gives for its first epoch."""

    @cache
    def made(name: str, batch: int) -> tuple[Training, dict[str, float]]:
        training = Training(trained(name, batch, sizes), known)
        return training, training.ours()()

    return made


@pytest.fixture(params=BATCH_NUMBERS, ids=["smallest", "middle", "largest"])
def batch(request, sizes):
    if request.param >= len(sizes.batches):
        pytest.skip("one size of batches is enough for a trial")
    return sizes.batches[request.param]


@pytest.mark.parametrize("name", [NCE, NS, AUTOREC])
def test_epoch(trainings, measure, name, batch):
    training, first = trainings(name, batch)
    epoch = training.ours()
    assert epoch() == first
    last = measure(epoch, table="epoch", row=f"{name}, batch {batch}", column="fastautorec")
    if name != NS:
        shape = (*training.train.shape, training.train.nnz)
        measure.note(**joint_epoch(*shape, training.model.factors, batch, len(last)))
    assert last.keys() == set(training.phases[0].heads) <= {EMBEDDING, PREDICTION}
    assert sum(last.values()) < sum(first.values())


@pytest.mark.parametrize(("name", "column"), [*((NCE, column) for column in PEERS), (NS, FASTEST), (AUTOREC, FASTEST)])
def test_epoch_by_torch(trainings, measure, name, column, batch):
    """The slower versions are timed with one model."""
    pytest.importorskip("torch", reason=NEEDS_TORCH)
    training, first = trainings(name, batch)
    options = PEERS[column]
    assert training.torch(drawn=False, **options)() == pytest.approx(first, rel=SAME)
    row = f"{name}, batch {batch}"
    measure(training.torch(**options), table="epoch", row=row, column=column, against=training.ours())


# --- time to quality --------------------------------------------------------------------------------------------------

PATIENCE = 5  # epochs without a better value
PAPER, EXACT = "as the paper trains", "exact start, then trained"
TORCH = "PyTorch, as the paper trains"
TWO_HEADED = {"NCE-AutoRec": far.NCEAutoRec, "NS-AutoRec": far.NSAutoRec}
ONE_HEADED = {"AutoRec": far.AutoRec, "OHNS-AutoRec": far.OHNSAutoRec}


@pytest.fixture(scope="module")
def warm(data, sizes):
    """Lazy imports and thread pools are not training."""
    run(far.NCEAutoRec(factors=8), data, sizes)
    if importlib.util.find_spec("torch"):
        run(far.NCEAutoRec.paper(factors=8, epochs=1, mode="joint"), data, sizes, _quality.by_torch)


@pytest.mark.usefixtures("warm")
def test_time_to_quality_closed_form(data, measure, sizes):
    quality(measure, data, "NCE-AutoRec", "closed form", "NCEAutoRec()", lambda: run(far.NCEAutoRec(), data, sizes))


@pytest.mark.parametrize("kind", [PAPER, EXACT])
@pytest.mark.parametrize(
    ("name", "mode"), [*((n, m) for n in TWO_HEADED for m in MODES), *((n, None) for n in ONE_HEADED)]
)
@pytest.mark.usefixtures("warm")
def test_time_to_quality(data, measure, sizes, name, mode, kind):
    model = model_of(name, mode, kind, sizes)
    quality(measure, data, name, mode or "", kind, lambda: run(model, data, sizes))


@pytest.mark.parametrize(
    ("name", "mode"), [("NCE-AutoRec", "joint"), ("NCE-AutoRec", "limited"), ("NS-AutoRec", "joint")]
)
@pytest.mark.usefixtures("warm")
def test_time_to_quality_by_torch(data, measure, sizes, name, mode):
    pytest.importorskip("torch", reason=NEEDS_TORCH)
    model = model_of(name, mode, PAPER, sizes)
    quality(measure, data, name, mode, TORCH, lambda: run(model, data, sizes, _quality.by_torch))


@pytest.mark.parametrize("name", ["MultiVAE", "CDAE"])
@pytest.mark.usefixtures("warm")
@pytest.mark.filterwarnings("ignore")  # of the library's own imports
def test_time_to_quality_by_recbole(data, measure, sizes, name):
    if importlib.util.find_spec("recbole") is None:
        pytest.skip(NEEDS_RECBOLE)

    def train() -> _quality.Curve:
        return _quality.by_recbole(name, data.train, data.validation, sizes, PATIENCE)

    quality(measure, data, f"RecBole {name}", "", "its defaults", train)


def model_of(name: str, mode: str | None, kind: str, sizes: Sizes) -> Any:
    """Return the model that says how to train."""
    modes = {} if mode is None else {"mode": mode}
    common = {"epochs": sizes.epochs, "patience": PATIENCE, **modes}
    cls = (TWO_HEADED | ONE_HEADED)[name]
    return cls(init="svd", **common) if kind == EXACT else cls.paper(factors=sizes.units, **common)


def run(model, data, sizes, how=_quality.ours):
    return how(model, data.train, data.validation, sizes)


def quality(measure: Measure, data: Any, name: str, mode: str, kind: str, train: Callable[[], _quality.Curve]) -> None:
    """Note a curve; its time is that to 99.9 % of its best value."""
    place = {"table": "quality", "row": f"{name}, {mode}" if mode else name, "column": kind}
    curve = measure.told(train, lambda curve: [curve.seconds_to(0.999 * curve.best)], **place)
    measure.note(points=curve.points, epochs=curve.epochs, data=data.name)
    assert 0 < curve.best <= 1
    assert all(np.diff([seconds for seconds, _ in curve.points]) > 0)
