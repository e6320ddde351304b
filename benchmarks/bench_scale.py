"""Costs of a fit as data and model grow: the shapes of the paper with their peak memory, and one size at a time."""

from __future__ import annotations

from functools import cache
from itertools import takewhile

import pytest

import fastautorec as far
from benchmarks import _fresh_process
from benchmarks._common import THREADS, knows
from fastautorec.datasets import PAPER_SHAPES

BATCH = 1024
BASE = "ml-20m"  # what one size at a time is changed of
SWEEPS = {  # what is multiplied, by how much
    "interactions": (1 / 8, 1 / 4, 1 / 2, 1),
    "items": (1 / 4, 1 / 2, 1, 2),
    "factors": (1 / 4, 1 / 2, 1, 2, 4),
    "threads": tuple(takewhile(lambda threads: threads <= max(THREADS, 1), (1, 2, 4, 8, 16, 32, 64))),
}
TRAINED = {  # one epoch from a random start
    "NCEAutoRec": {},
    "NSAutoRec": {"negatives": 500},
}
SEARCHED = {  # whole searches and the full-rank model; fewer settings than by default need as much memory
    "NCEAutoRecCV": {},
    "DLAE": {},
    "DLAECV": {"denoising": 3, "prior": [0, 30], "regularization": [8, 32], "input_weight": 0, "target_weight": 0},
}
SEARCHED_SHAPE = (6_000, 3_500, 300_000)


@pytest.fixture(scope="module")
def shape_of(sizes):
    """Return users, items and interactions of the training part of a data set of the paper: half of all."""

    def shape(name, interactions=0.5):
        users, items, count = PAPER_SHAPES[name]
        items = items if not sizes.quick else items // 50
        users, count = users // sizes.shrink, int(interactions * count) // sizes.shrink
        return users, items, min(count, users * items // 10)

    return shape


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return a folder with drawn interactions of a shape."""

    @cache
    def folder(shape):
        path = tmp_path_factory.mktemp("interactions")
        _fresh_process.store(far.datasets.synthetic(*shape, random_state=0), path)
        return path

    return folder


@pytest.mark.parametrize("name", PAPER_SHAPES)
def test_shapes_of_the_paper(name, shape_of, stored, sizes, measure):
    """The closed form in a fresh process: seconds and peak memory."""
    folder = stored(shape_of(name))
    found = measure.told(
        lambda: _fresh_process.measured(folder, "NCEAutoRec", {"factors": sizes.factors}), lambda found: found["times"],
        table="shapes", row=name, column="NCEAutoRec(), closed form",
    )  # fmt: skip
    note(measure, found)


@pytest.mark.parametrize("model", TRAINED)
def test_memory_of_training(model, shape_of, stored, sizes, measure):
    """One epoch in a fresh process, on all interactions."""
    shape = shape_of("ml-20m", 1.0)
    epochs, batch = (20, shape[0] // 8) if sizes.quick else (1, BATCH)  # few users need many epochs to be known
    params = {"mode": "joint", "factors": sizes.factors, "epochs": epochs, "batch_size": batch, **TRAINED[model]}
    found = measure.told(
        lambda: _fresh_process.measured(stored(shape), model, params, paper=True), lambda found: found["times"],
        table="shapes", row="ml-20m, all interactions", column=f"{model}, one epoch",
    )  # fmt: skip
    note(measure, found)


@pytest.mark.parametrize("model", SEARCHED)
def test_memory_of_searches(model, stored, sizes, measure):
    """A fit that chooses its parameters, or has an item-item matrix, in a fresh process."""
    folder = stored(tuple(size // 10 for size in SEARCHED_SHAPE) if sizes.quick else SEARCHED_SHAPE)
    found = measure.told(
        lambda: _fresh_process.measured(folder, model, SEARCHED[model]), lambda found: found["times"],
        table="shapes", row="drawn", column=model,
    )  # fmt: skip
    note(measure, found)
    assert sizes.quick or found["added"] < 1.1 * found["predicted"]


def note(measure, found):
    measure.note(**{name: value for name, value in found.items() if name != "times"})
    assert found["loaded"] < found["peak"] < 2 * (found["loaded"] + found["predicted"])


@pytest.mark.parametrize(("size", "times"), [(size, times) for size, several in SWEEPS.items() for times in several])
def test_one_size_at_a_time(size, times, shape_of, matrices, sizes, measure):
    users, items, count = shape_of(BASE)
    factors, threads = sizes.factors, THREADS
    if size == "interactions":
        count = value = round(count * times)
    elif size == "items":
        items = value = round(items * times)
    elif size == "factors":
        factors = value = round(factors * times)
    else:
        threads = value = times
    matrix = matrices(users, items, count)
    model = measure(
        lambda: far.NCEAutoRec(factors=factors, num_threads=threads).fit(matrix),
        table="growth", row=size, column=f"{value:,}",
    )  # fmt: skip
    measure.note(value=value)
    assert knows(model.predict(matrix[:200]), matrix[:200])


@pytest.fixture(scope="module")
def matrices():
    return cache(far.datasets.synthetic)
