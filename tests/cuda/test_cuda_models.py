"""Every model on an emulated device: what it fits and lists, where results are, what the host waits for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autoencoders import HELD_OUT, TRAIN, make
from cuda_emulation import EmulatedArray, EmulatedCsr, EmulatedDevice
from devices import host
from lanes import keeping

import fastautorec as far
from fastautorec._training import epochs as _training

MODELS: dict[str, Any] = {
    "Popularity": far.Popularity,
    "PureSVD": lambda **params: far.PureSVD(factors=8, **params),
    "NCEPLRec": lambda **params: far.NCEPLRec(factors=8, **params),
    "EASE": lambda **params: far.EASE(regularization=20.0, **params),
    "DLAE": lambda **params: far.DLAE(regularization=4.0, sharpening=1.0, **params),
    "DLAE by directions": lambda **params: far.DLAE(directions=8, **params),
    "NCEAutoRec": lambda **params: far.NCEAutoRec(factors=8, **params),
    "NCEAutoRec tanh": lambda **params: far.NCEAutoRec(factors=8, activation="tanh", **params),
    "AutoRec": lambda **params: make("AutoRec", **params),
    "OHNSAutoRec": lambda **params: make("OHNSAutoRec", **params),
    "NSAutoRec": lambda **params: make("NSAutoRec full", **params),
    "NCEAutoRec trained": lambda **params: make("NCEAutoRec full", **params),
}
TRAINED = ("AutoRec", "OHNSAutoRec", "NSAutoRec", "NCEAutoRec trained")

FEW = ("NCEAutoRec", "AutoRec", "DLAE")

every_model = pytest.mark.parametrize("name", keeping(FEW, MODELS))
every_trained_model = pytest.mark.parametrize("name", keeping(["AutoRec"], TRAINED))


def fitted(name: str, device: str, **params: Any) -> Any:
    return MODELS[name](device=device, **params).fit(TRAIN)


def agree(one: Any, other: Any, tolerance: float = 2e-4) -> None:
    """Check that two models give the same scores."""
    expected = other.predict(TRAIN)
    np.testing.assert_allclose(one.predict(TRAIN), expected, rtol=0, atol=tolerance * np.abs(expected).max())


def fitted_arrays(model: Any) -> dict[str, Any]:
    return {name: getattr(model, name) for name in model._arrays}


@every_model
def test_as_on_the_cpu(emulation: EmulatedDevice, name: str) -> None:
    model, expected = fitted(name, "cuda"), fitted(name, "cpu")
    assert model.device_ == "cuda"
    for array in fitted_arrays(model).values():
        assert array is None or isinstance(array, EmulatedArray)
    agree(model, expected)
    for options in ({}, {"items": [30, 3, 17, 8]}, {"items": [30, 3, 8], "filter_items": [3]}, {"filter_items": [0]}):
        ids, scores = model.recommend(TRAIN, N=5, **options)
        there_ids, there_scores = expected.recommend(TRAIN, N=5, **options)
        assert (ids.dtype, scores.dtype) == (np.int32, np.float32)
        np.testing.assert_allclose(scores, there_scores, rtol=0, atol=2e-4 * np.nanmax(np.abs(there_scores)))
        assert (ids == there_ids).mean() > 0.98  # equal but for rounding
        assert ((ids < 0) == (there_ids < 0)).all()
    one, other = far.evaluate(model, TRAIN, HELD_OUT, k=5), far.evaluate(expected, TRAIN, HELD_OUT, k=5)
    assert one["NDCG"].mean == pytest.approx(other["NDCG"].mean, abs=1e-3)
    ids, scores = model.similar_items([7, 3], N=4)
    there_ids, there_scores = expected.similar_items([7, 3], N=4)
    np.testing.assert_allclose(scores, there_scores, atol=1e-4)
    np.testing.assert_array_equal(ids[:, 0], there_ids[:, 0])


@every_model
def test_tables_come_from_histories_on_the_host(emulation: EmulatedDevice, name: str) -> None:
    model = fitted(name, "cuda")
    ids, scores = model.recommend(TRAIN, N=5)
    table = model.recommend_table(TRAIN, N=5)
    assert type(table["item"]) is np.ndarray
    np.testing.assert_array_equal(table["item"], ids[ids >= 0])
    np.testing.assert_array_equal(table["score"], scores[ids >= 0])
    with pytest.raises(TypeError, match=r"`data` must be .*"):
        model.recommend_table(EmulatedCsr.of(emulation, TRAIN), N=5)


@every_model
def test_results_are_where_the_histories_are(emulation: EmulatedDevice, name: str) -> None:
    there = EmulatedCsr.of(emulation, TRAIN)
    model, plain = MODELS[name](device="cuda").fit(there), fitted(name, "cuda")
    for key, array in fitted_arrays(plain).items():
        np.testing.assert_array_equal(host(getattr(model, key)), host(array), err_msg=key)
    calls = [model.predict, lambda x: model.predict(x, items=[4, 2]), lambda x: model.recommend(x, N=3)]
    calls += [lambda x: model.recommend(x, N=3, items=[9, 5, 2], filter_items=[5])]
    calls += [model.embed] if hasattr(model, "embed") else []
    for call in calls:
        there_results, results, named = call(there), call(TRAIN), call(far.Interactions(TRAIN))
        as_tuples = [value if isinstance(value, tuple) else (value,) for value in (there_results, results, named)]
        for on_device, on_host, of_interactions in zip(*as_tuples, strict=True):
            assert isinstance(on_device, EmulatedArray)
            assert isinstance(on_host, np.ndarray)
            np.testing.assert_array_equal(on_device.get(), on_host)
            np.testing.assert_array_equal(of_interactions, on_host)
    report = far.evaluate(model, there, HELD_OUT, k=5)
    np.testing.assert_array_equal(report["NDCG"].per_user, far.evaluate(plain, TRAIN, HELD_OUT, k=5)["NDCG"].per_user)


@every_trained_model
def test_validation_and_partial_fit(emulation: EmulatedDevice, name: str) -> None:
    there, there_too = EmulatedCsr.of(emulation, TRAIN[:40]), EmulatedCsr.of(emulation, TRAIN[40:])
    models = []
    for device, train, validation, new in (
        ("cpu", TRAIN[:40], HELD_OUT[:40], TRAIN[40:]),
        ("cuda", TRAIN[:40], HELD_OUT[:40], TRAIN[40:]),
        ("cuda", there, EmulatedCsr.of(emulation, HELD_OUT[:40]), there_too),
    ):
        model = MODELS[name](device=device).fit(train, validation=validation)
        models.append(model.partial_fit(new, epochs=2))
    agree(models[1], models[0], 1e-3)
    for key, array in fitted_arrays(models[1]).items():
        np.testing.assert_array_equal(host(getattr(models[2], key)), host(array), err_msg=key)
    assert [record.get("metric") for record in models[1].history_] == pytest.approx(
        [record.get("metric") for record in models[0].history_], abs=2e-3
    )


def test_users_without_items_are_skipped(emulation: EmulatedDevice) -> None:
    thin = TRAIN.copy()
    thin.data[thin.indptr[3] : thin.indptr[6]] = 0
    models = [make("AutoRec", device="cuda").fit(given) for given in (thin, EmulatedCsr.of(emulation, thin))]
    assert [model.skipped_users_ for model in models] == [3, 3]
    agree(models[0], make("AutoRec", device="cpu").fit(thin))
    np.testing.assert_array_equal(models[0].predict(TRAIN), models[1].predict(TRAIN))


# --- from one device to another ---------------------------------------------------------------------------------------


@every_model
def test_to(emulation: EmulatedDevice, name: str) -> None:
    model = fitted(name, "cuda")
    scores = model.predict(TRAIN)
    assert model.to("cpu") is model
    assert (model.device, model.device_) == ("cpu", "cpu")
    assert all(array is None or isinstance(array, np.ndarray) for array in fitted_arrays(model).values())
    np.testing.assert_allclose(model.predict(TRAIN), scores, rtol=0, atol=2e-5 * np.abs(scores).max())
    kept = {key: None if array is None else array.copy() for key, array in fitted_arrays(model).items()}
    model.to("cuda")
    np.testing.assert_array_equal(model.predict(TRAIN), scores)
    for key, array in kept.items():
        np.testing.assert_array_equal(host(getattr(model, key)), array, err_msg=key)


def test_a_move_that_fails_changes_nothing(emulation: EmulatedDevice) -> None:
    model = fitted("AutoRec", "cpu")
    scores = model.predict(TRAIN)
    with pytest.raises(ValueError, match="`device` must be one of"):
        model.to("gpu")
    emulation.fail_allocations_above = 1000
    with pytest.raises(MemoryError):
        model.to("cuda")
    assert model.device_ == "cpu"
    np.testing.assert_array_equal(model.predict(TRAIN), scores)


@every_model
def test_a_file_is_read_anywhere(emulation: EmulatedDevice, name: str, tmp_path: Path) -> None:
    model = fitted(name, "cuda")
    model.save(tmp_path / "model.npz")
    loaded = far.load(tmp_path / "model.npz")
    assert loaded.device_ == "cpu"
    assert loaded.get_params() == model.get_params()
    for key, array in fitted_arrays(model).items():
        np.testing.assert_array_equal(getattr(loaded, key), host(array), err_msg=key)
    agree(loaded, model, 2e-5)
    if name in TRAINED:
        on_device, on_host = model.partial_fit(TRAIN[:9]), loaded.partial_fit(TRAIN[:9])
        agree(on_host, on_device)
    agree(loaded.to("cuda"), loaded.to("cpu"), 2e-5)


@pytest.mark.parametrize(
    ("here", "there"), keeping([("cuda", "cpu")], [("cpu", "cpu"), ("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda")])
)
def test_a_checkpoint_goes_on_anywhere(emulation: EmulatedDevice, here: str, there: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 2 and path.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make("NSAutoRec joint", device=here).fit(TRAIN, HELD_OUT, callbacks=[stop], checkpoint=path)
    resumed = make("NSAutoRec joint", device=there).fit(TRAIN, HELD_OUT, resume=path)
    whole = make("NSAutoRec joint", device=there).fit(TRAIN, HELD_OUT)
    assert resumed.device_ == there
    agree(resumed, whole)
    if here == there:
        np.testing.assert_array_equal(resumed.predict(TRAIN), whole.predict(TRAIN))


def test_auto_takes_the_device(emulation: EmulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastautorec._compute._gpu_works", lambda: True)
    assert far.Popularity().fit(TRAIN).device_ == "cuda"


def test_everything_happens_on_the_current_device(emulation: EmulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model on "cuda:1" may not launch anything, nor make an array, while another device is the current one."""
    active: list[int] = []

    class Current:
        def __enter__(self) -> None:
            active.append(1)

        def __exit__(self, *error: object) -> None:
            active.pop()

    def watched(method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            assert active
            return method(*args, **kwargs)

        return call

    there = EmulatedCsr.of(emulation, TRAIN)
    monkeypatch.setattr(emulation, "active", Current)
    for name in ("launch", "gemm", "call", "to_host", "to_device", "poisoned"):
        monkeypatch.setattr(emulation, name, watched(getattr(emulation, name)))
    model = make("NSAutoRec full", device="cuda:1", epochs=1).fit(there)
    model.recommend(there, N=3, items=[1, 2, 3], filter_items=[2])
    model.predict(there, items=[3])
    model.embed(there)
    model.similar_items(3)
    model.partial_fit(there)
    far.evaluate(model, there, HELD_OUT, k=3)
    far.ops.count_items(there)
    model.to("cpu").to("cuda")


# --- what the host waits for ------------------------------------------------------------------------------------------


@every_trained_model
@pytest.mark.parametrize("given", ["on the host", "on the device"])
def test_no_batch_is_waited_for(
    emulation: EmulatedDevice, name: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interactions go over once; each epoch sends one permutation, and waits for its losses at the end."""
    counts: dict[int, set[tuple[int, int]]] = {}
    inner = _training.EpochLoop.epoch

    def watched(self: Any, phase: Any) -> Any:
        before = emulation.synchronisations, emulation.transfers, len(emulation.launches)
        losses = inner(self, phase)
        after = emulation.synchronisations, emulation.transfers, len(emulation.launches)
        waits, copies, launches = (b - a for a, b in zip(before, after, strict=True))
        batches = -(-60 // self._batch_size)
        assert waits == len(phase.heads)
        assert launches <= 24 * batches + 8
        if self.state.total > 1:  # the first epoch also sends the tables of the sampler
            counts.setdefault(batches, set()).add((waits, copies))
        return losses

    monkeypatch.setattr(_training.EpochLoop, "epoch", watched)
    for batch_size in (30, 6):
        train = TRAIN if given == "on the host" else EmulatedCsr.of(emulation, TRAIN)
        MODELS[name](device="cuda", batch_size=batch_size).fit(train)
    assert counts.keys() == {2, 10}
    assert counts[2] == counts[10]
    assert all(copies == 1 for _, copies in counts[2])


def test_the_first_epoch_sends_the_tables_of_the_sampler_once(emulation: EmulatedDevice) -> None:
    transfers = []
    for batch_size in (30, 6):
        before = emulation.transfers
        make("OHNSAutoRec", device="cuda", batch_size=batch_size).fit(TRAIN)
        transfers.append(emulation.transfers - before)
    assert transfers[0] == transfers[1]


def test_lists_wait_for_tiles_and_not_for_users(emulation: EmulatedDevice) -> None:
    model = make("AutoRec", device="cuda").fit(TRAIN)
    waits = []
    for users in (20, 60):
        before = emulation.synchronisations
        model.recommend(TRAIN[:users], N=5)
        waits.append(emulation.synchronisations - before)
    assert waits[0] == waits[1] <= 2


def test_penalties_are_chosen_on_the_device_too(emulation: EmulatedDevice) -> None:
    models = [
        far.NCEAutoRec(factors=8, regularization=[0.01, 0.3, 10], device=device).fit(TRAIN, HELD_OUT)
        for device in ("cpu", "cuda")
    ]
    assert models[0].regularization_ == models[1].regularization_
    metrics = [[record["metric"] for record in model.history_ if "metric" in record] for model in models]
    assert metrics[1] == pytest.approx(metrics[0], abs=1e-3)
