"""AutoRec, and what all trained models share: options, new users, files, the conventions of scikit-learn."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autoencoders import CASES, every_case, every_device, make, same_bits, train_and_held_out
from contract import ModelContract, train  # noqa: F401
from devices import host
from runs import run_on
from scipy import sparse
from sklearn.base import clone

import fastautorec as far
from fastautorec._compute import get_backend
from fastautorec._compute.inputs import check_user_items
from fastautorec._training import epochs as _training
from fastautorec._training.fit import fit_autoencoder

TRAIN, HELD_OUT = train_and_held_out()
NEW = sparse.csr_matrix(np.roll(TRAIN.toarray(), 3, axis=1))[:10]
TRAINED = {"factors": 8, "epochs": 3, "learning_rate": 0.01, "batch_size": 50}


class TestAutoRec(ModelContract):
    def make(self, **params: Any) -> far.AutoRec:
        return far.AutoRec(**{**TRAINED, **params})


class TestExactStart(ModelContract):
    def make(self, **params: Any) -> far.AutoRec:
        return far.AutoRec(**{**TRAINED, "init": "svd", "activation": "identity", **params})


@pytest.mark.grid
class TestClosedForm(ModelContract):
    def make(self, **params: Any) -> far.AutoRec:
        return far.AutoRec(**{"factors": 8, "init": "svd", "epochs": 0, **params})


class TestPaper(ModelContract):
    def make(self, **params: Any) -> far.AutoRec:
        return far.AutoRec.paper(**{"factors": 8, "epochs": 3, "batch_size": 50, **params})

    def test_repr_shows_what_differs_from_the_defaults(self) -> None:
        assert "normalize=None" in repr(far.AutoRec.paper())


PAPER = {
    far.AutoRec: {},
    far.OHNSAutoRec: {"power": 1.0, "exclude_positives": False},
    far.NSAutoRec: {"power": 1.0, "exclude_positives": False, "solver": "gradient"},
    far.NCEAutoRec: {"numerator": "interactions", "user_weight": 0.0, "beta": 1.0, "solver": "gradient"},
}  # fmt: skip


@pytest.mark.parametrize("init", ["random", "svd"])
@pytest.mark.parametrize("case", CASES)
def test_a_fit_needs_what_a_model_says_and_no_model(case: str, init: str) -> None:
    said = make(case, init=init)
    objective, options, model = said._objective(), said._options(), weakref.ref(said)
    del said
    assert model() is None
    checked = check_user_items("user_items", TRAIN, fitting=True)
    run = run_on(get_backend("cpu", 1), checked)
    fitted = fit_autoencoder(run, objective, options, np.random.default_rng(0), lambda fitted: 0.0)
    expected = make(case, init=init).fit(TRAIN)
    for name in (*type(expected)._arrays, "item_counts_"):
        np.testing.assert_array_equal(fitted[name], getattr(expected, name), err_msg=name)
    assert fitted["best_epochs_"] == expected.best_epochs_
    assert [record["phase"] for record in run.history] == [record["phase"] for record in expected.history_]


@pytest.mark.parametrize("cls", PAPER)
def test_paper(cls: Any) -> None:
    """Section 4.2: random start, Adam, relu, plain input; Eq. 6 and 16 as printed."""
    expected = {"init": "random", "optimizer": "adam", "activation": "relu", "normalize": None, "dropout": 0.0,
                "intercept": "constant", "popularity_discount": 0.0, "schedule": "constant", **PAPER[cls]}  # fmt: skip
    params = cls.paper().get_params()
    assert {name: params[name] for name in expected} == expected
    assert params["epochs"] > 0
    assert cls.paper(factors=10, dropout=0.2).get_params() == params | {"factors": 10, "dropout": 0.2}
    with pytest.raises(TypeError, match="factor"):
        cls.paper(factor=10)


# --- options -----------------------------------------------------------------------------------------------------


@every_case
def test_an_exact_start_is_the_closed_form(case: str, device: str) -> None:
    """Training that changes nothing leaves the exact solution of the head that recommends."""
    params = {"init": "svd", "factors": 8, "popularity_discount": 0.2, "device": device}
    closed = make(case, epochs=0, **params).fit(TRAIN)
    nearly = make(case, epochs=1, optimizer="sgd", learning_rate=1e-30, **params).fit(TRAIN)
    for name in ("encoder_", "decoder_", "item_counts_", "regularization_"):
        np.testing.assert_array_equal(host(getattr(nearly, name)), host(getattr(closed, name)), err_msg=name)
    assert closed.embedding_head_ is None
    assert (nearly.embedding_head_ is None) == (case in ("AutoRec", "OHNSAutoRec"))


@pytest.mark.parametrize("case", ["AutoRec", "NCEAutoRec joint", "NCEAutoRec full"])
def test_training_goes_on_with_the_penalty_of_the_exact_head(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the exact solution the gradient of the penalised objective of its head is 0, so that one step stays there."""
    seen: list[Any] = []
    inner = _training.EpochLoop.epoch

    def watched(self: Any, phase: Any) -> Any:
        seen.append({name: (p.decay, p.last_decay) for name, p in self._parameters.items()})
        return inner(self, phase)

    monkeypatch.setattr(_training.EpochLoop, "epoch", watched)
    params = {"init": "svd", "dropout": 0.0, "regularization": 0.3, "intercept_penalty": 0.5, "batch_size": None}
    model = make(case, **params, optimizer="sgd", learning_rate=1e-4, epochs=1, device="reference").fit(TRAIN)
    h = model.embed(TRAIN).astype(float)
    share = np.asarray(TRAIN.sum(axis=1)).ravel() ** -0.5
    weights, last = seen[-1]["prediction"]
    penalty = 0.3 * np.sqrt(TRAIN.nnz / 60) * np.trace(h.T @ h) / 8
    assert weights == pytest.approx(2 * penalty / 60, rel=1e-3)
    assert last == pytest.approx(2 * 0.5 * np.sum(share**2) / 60, rel=1e-5)
    closed = make(case, **params, epochs=0, device="reference").fit(TRAIN)
    if case == "AutoRec":
        np.testing.assert_allclose(model.decoder_, closed.decoder_, rtol=0, atol=1e-6)


@every_device
def test_intercepts(device: str) -> None:
    history, constant, none = (
        make("AutoRec", device=device, **params).fit(TRAIN)
        for params in ({}, {"intercept": "constant"}, {"fit_intercept": False})
    )
    assert none.decoder_.shape == (40, 8)
    for model, share in ((history, np.asarray(TRAIN.sum(axis=1)) ** -0.5), (constant, np.ones((60, 1)))):
        weights = host(model.decoder_)
        assert weights.shape == (40, 9)
        assert weights[:, 8].any()
        expected = model.embed(TRAIN) @ weights[:, :8].T + share * weights[:, 8]
        np.testing.assert_allclose(model.predict(TRAIN), expected, rtol=0, atol=1e-5)


@every_device
def test_a_joint_step_without_the_embedding_head_does_not_know_its_loss(device: str) -> None:
    params = {"activation": "relu", "dropout": 0.5, "popularity_discount": 0.0, "device": device}
    for weight, same in ((0.0, True), (1.0, False)):
        ns, nce = (
            make(f"{name} joint", embedding_weight=weight, **params).fit(TRAIN) for name in ("NSAutoRec", "NCEAutoRec")
        )
        for name in ("encoder_", "encoder_bias_", "decoder_"):
            assert np.array_equal(getattr(ns, name), getattr(nce, name)) == same


@pytest.mark.parametrize("case", ["AutoRec", "OHNSAutoRec"])
@pytest.mark.parametrize("exponent", [-30.0, 30.0, -1e300])
def test_popularity_discount_beyond_float32(case: str, exponent: float) -> None:
    calls: list[dict[str, Any]] = []
    with pytest.raises(ValueError, match=r"`popularity_discount` must keep .* \|γ\| ≤ [\d.]+ .* got"):
        make(case, popularity_discount=exponent).fit(TRAIN, callbacks=[calls.append])
    assert not calls, "refused before anything is trained"


def test_popularity_discount_below_zero() -> None:
    model = make("AutoRec", popularity_discount=-4.0).fit(TRAIN)
    ids, scores = model.recommend(TRAIN, N=5)
    assert np.isfinite(scores).all()
    assert (ids >= 0).all()


def test_popularity_discount_scales_the_scores() -> None:
    plain, discounted = (make("AutoRec", popularity_discount=g).fit(TRAIN) for g in (0.0, 0.5))
    counts = np.maximum(np.asarray(TRAIN.sum(axis=0)), 1)
    np.testing.assert_allclose(discounted.predict(TRAIN), plain.predict(TRAIN) * counts**-0.5, rtol=0, atol=1e-5)


def test_one_seed_one_result() -> None:
    one, again, other = (make("AutoRec", random_state=seed).fit(TRAIN) for seed in (0, 0, 1))
    same_bits(one, again)
    assert not np.array_equal(one.encoder_, other.encoder_)
    same_bits(make("AutoRec", random_state=np.random.default_rng(0)).fit(TRAIN), one)


# --- going on with new users -------------------------------------------------------------------------------------


def watch_batches(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    seen: list[np.ndarray] = []
    inner = _training.EpochLoop._batch

    def watched(self: Any, phase: Any, batch: Any, totals: Any) -> None:
        seen.append(batch.to_scipy().toarray())
        inner(self, phase, batch, totals)

    monkeypatch.setattr(_training.EpochLoop, "_batch", watched)
    return seen


@every_case
def test_partial_fit_learns_from_the_new_rows_only(case: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(case, device=device).fit(TRAIN)
    before = {name: np.copy(getattr(model, name)) for name in (*type(model)._arrays, "item_counts_")}
    seen = watch_batches(monkeypatch)
    assert model.partial_fit(NEW, epochs=2) is model
    rows = np.vstack(seen)
    assert sorted(rows.tolist()) == sorted(2 * NEW.toarray().tolist())
    np.testing.assert_array_equal(model.item_counts_, before["item_counts_"] + np.asarray(NEW.sum(axis=0)).ravel())
    assert (model.n_users_, model.skipped_users_) == (70, 0)
    assert not np.array_equal(model.decoder_, before["decoder_"])
    frozen = case.endswith("limited")
    assert np.array_equal(model.encoder_, before["encoder_"]) == frozen


@every_device
def test_partial_fit_fits_the_new_rows(device: str) -> None:
    for case in ("AutoRec", "NCEAutoRec full", "NCEAutoRec joint"):
        model = make(case, dropout=0.0, popularity_discount=0.1, device=device).fit(TRAIN)

        def error(model: Any = model) -> float:
            undiscounted = model.predict(NEW) * np.maximum(model.item_counts_, 1.0) ** 0.1
            return float(np.sum((NEW.toarray() - undiscounted) ** 2))

        before = error()
        assert error(model.partial_fit(NEW, epochs=20)) < before


@pytest.mark.parametrize("case", CASES)
def test_partial_fit_of_the_closed_form(case: str) -> None:
    """An exact solution is not led away from; one that was trained further goes on."""
    model, closed = (make(case, init="svd", epochs=0).fit(TRAIN) for _ in range(2))
    message = (
        rf"no epoch was trained of this {type(model).__name__}: .*fit\(user_items\) again with the rows of all users"
    )
    with pytest.raises(ValueError, match=message):
        model.partial_fit(NEW)
    with pytest.raises(ValueError, match=message):
        model.set_params(epochs=3).partial_fit(NEW)
    same_bits(model, closed)
    trained = make(case, init="svd", epochs=1).fit(TRAIN).set_params(epochs=0)
    before = trained.predict(TRAIN)
    assert not np.array_equal(trained.partial_fit(NEW).predict(TRAIN), before)


@every_device
def test_partial_fit_counts_all_users(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One new user neither makes the target of Eq. 16 empty nor multiplies the penalty by m."""
    seen: list[Any] = []
    inner = _training.EpochLoop.epoch

    def watched(self: Any, phase: Any) -> Any:
        seen.append(self)
        return inner(self, phase)

    monkeypatch.setattr(_training.EpochLoop, "epoch", watched)
    model = make("NCEAutoRec joint", weight_decay=5.0, epochs=1, device=device).fit(TRAIN)
    model.partial_fit(NEW[:1])
    first, then = seen
    assert first._parameters["encoder"].decay == 2 * 5.0 / 60
    for name in ("encoder", "embedding", "prediction"):
        assert then._parameters[name].decay == 2 * 5.0 / 61
    counts = np.asarray(TRAIN.sum(axis=0)).ravel() + NEW[:1].toarray().ravel()
    expected = np.maximum(np.log(61) - np.log(np.maximum(counts, 1)), 0)
    np.testing.assert_allclose(host(then.heads["embedding"].loss.item_weights), expected, rtol=1e-6)


@pytest.mark.parametrize("case", ["AutoRec", "OHNSAutoRec", "NCEAutoRec full"])
@every_device
def test_partial_fit_renews_the_popularity_discount(case: str, device: str) -> None:
    """With hardly any training the weights stay, and the discount is that of all users."""
    params = {"popularity_discount": 0.5, "optimizer": "sgd", "learning_rate": 1e-30, "device": device}
    model = make(case, **params).fit(TRAIN)
    weights = host(model.decoder_) * np.maximum(model.item_counts_, 1)[:, None] ** 0.5
    model.partial_fit(NEW)
    expected = weights * np.maximum(model.item_counts_, 1)[:, None] ** -0.5
    np.testing.assert_allclose(host(model.decoder_), expected, rtol=1e-5, atol=1e-25)  # some biases were 0


@every_device
def test_partial_fit_gives_new_users_new_random_numbers(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks and negatives are new ones, also where partial_fit is called again and again."""
    backend = type(get_backend(device, 1))
    masked: list[int] = []
    sampled: list[int] = []
    drop, sample = backend.drop_entries, backend.sample_negatives

    def dropped(self: Any, batch: Any, *rest: Any) -> Any:
        masked.extend(batch.user_numbers().tolist())
        return drop(self, batch, *rest)

    def drawn(self: Any, sampler: Any, users: Any, *rest: Any) -> Any:
        sampled.extend(users.tolist())
        return sample(self, sampler, users, *rest)

    monkeypatch.setattr(backend, "drop_entries", dropped)
    monkeypatch.setattr(backend, "sample_negatives", drawn)
    model = make("OHNSAutoRec", epochs=1, device=device).fit(sparse.vstack([TRAIN, sparse.csr_matrix((3, 40))]).tocsr())
    for _ in range(2):
        model.partial_fit(NEW)
    assert masked == sampled
    for start, stop in ((0, 60), (60, 70), (70, 80)):
        shift = 3 if start else 0  # numbers of users without interactions
        assert sorted(masked[start:stop]) == list(range(start + shift, stop + shift))


def test_partial_fit_skips_empty_rows() -> None:
    model, other = (make("AutoRec").fit(TRAIN) for _ in range(2))
    model.partial_fit(sparse.vstack([NEW, sparse.csr_matrix((4, 40))]).tocsr())
    same_bits(model, other.partial_fit(NEW))
    assert model.skipped_users_ == 4


BAD_PARTIAL_FIT = [
    (lambda model: model.partial_fit(sparse.csr_matrix((3, 40))), ValueError, "must hold at least one interaction"),
    (lambda model: model.partial_fit(NEW[:, :9]), ValueError, "has 9 columns but the model was fitted on 40 items"),
    (lambda model: model.partial_fit(NEW.toarray()), TypeError, "`user_items` must be a scipy sparse matrix"),
    (lambda model: model.partial_fit(NEW * 4.0), ValueError, "must hold only 0 and 1"),
    (lambda model: model.partial_fit(NEW, epochs=0), ValueError, "`epochs` must be >= 1, got 0"),
    (lambda model: model.partial_fit(NEW, epochs=1.5), TypeError, "`epochs` must be an integer, got float"),
    (lambda model: model.partial_fit(NEW, learning_rate=-1), ValueError, "`learning_rate` must be > 0"),
    (lambda model: model.partial_fit(NEW, epochs=9, learning_rate=1e30), far.DivergedError,
     "training diverged in epoch"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), BAD_PARTIAL_FIT)
@every_device
def test_bad_partial_fit(call: Any, error: type, message: str, device: str) -> None:
    model, same = (make("AutoRec", activation="identity", device=device).fit(TRAIN) for _ in range(2))
    with pytest.raises(error, match=message):
        call(model)
    same_bits(model, same)


def test_partial_fit_with_another_learning_rate() -> None:
    """It counts for this call only."""
    model, slow = (make("AutoRec").fit(TRAIN) for _ in range(2))
    before = model.predict(TRAIN)
    moved = np.abs(model.partial_fit(NEW).predict(TRAIN) - before).max()
    assert 0 < np.abs(slow.partial_fit(NEW, learning_rate=1e-6).predict(TRAIN) - before).max() < moved / 100
    assert slow.get_params() == model.get_params()
    same = make("AutoRec").fit(TRAIN).partial_fit(NEW, learning_rate=model.learning_rate)
    same_bits(same, model)


def test_partial_fit_before_fit() -> None:
    with pytest.raises(far.NotFittedError, match=r"is not fitted; call fit\(user_items\) first"):
        make("AutoRec").partial_fit(NEW)


# --- files and scikit-learn --------------------------------------------------------------------------------------


@every_case
def test_a_loaded_model_goes_on_with_the_same_bits(case: str, device: str, tmp_path: Path) -> None:
    model = make(case, device=device, weight_decay=1.0).fit(TRAIN)
    model.save(tmp_path / "model.npz")
    loaded = far.load(tmp_path / "model.npz").to(device)
    same_bits(loaded, model)
    same_bits(loaded.partial_fit(NEW), model.partial_fit(NEW))
    loaded.save(tmp_path / "again.npz")
    same_bits(far.load(tmp_path / "again.npz").to(device).partial_fit(NEW), model.partial_fit(NEW))
    same_bits(loaded.fit(TRAIN), make(case, device=device, weight_decay=1.0).fit(TRAIN))


@pytest.mark.parametrize("case", CASES)
def test_clone(case: str) -> None:
    model = make(case, dropout=0.25).fit(TRAIN)
    copy = clone(model)
    assert type(copy) is type(model)
    assert copy.get_params() == model.get_params()
    assert not any(name.endswith("_") for name in vars(copy))
    same_bits(copy.fit(TRAIN), model)


@pytest.mark.parametrize("cls", PAPER)
def test_parameters(cls: Any) -> None:
    assert cls(12).factors == 12
    with pytest.raises(TypeError, match="positional"):
        cls(12, "relu")
    model = cls()
    assert model == model  # noqa: PLR0124
    assert model != cls()
    assert hash(model) != hash(cls())
    assert "_" not in model.get_params()
    assert cls(**model.get_params()).get_params() == model.get_params()
