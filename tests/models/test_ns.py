"""The models trained by negative sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from autoencoders import CASES, every_device, make, same_bits, train_and_held_out
from contract import ModelContract, train  # noqa: F401
from devices import host
from scipy import sparse

import fastautorec as far
from fastautorec._compute import get_backend
from fastautorec._training.epochs import MODES

TRAIN, HELD_OUT = train_and_held_out()
TRAINED = {"factors": 8, "epochs": 3, "negatives": 40, "learning_rate": 0.01, "batch_size": 50}


class TestOHNSAutoRec(ModelContract):
    def make(self, **params: Any) -> far.OHNSAutoRec:
        return far.OHNSAutoRec(**{**TRAINED, **params})


class TestOHNSAutoRecFromTheClosedForm(ModelContract):
    def make(self, **params: Any) -> far.OHNSAutoRec:
        settings = {"init": "svd", "out": "logsigmoid", "power": 0.75, "popularity_discount": 0.1}
        return far.OHNSAutoRec(**{**TRAINED, **settings, **params})


class TestOHNSAutoRecPaper(ModelContract):
    def make(self, **params: Any) -> far.OHNSAutoRec:
        return far.OHNSAutoRec.paper(**{"factors": 8, "epochs": 2, "negatives": 40, "batch_size": 50, **params})


class TestJoint(ModelContract):
    def make(self, **params: Any) -> far.NSAutoRec:
        return far.NSAutoRec(**{**TRAINED, "mode": "joint", "embedding_weight": 0.5, **params})


@pytest.mark.grid
class TestAlternating(ModelContract):
    def make(self, **params: Any) -> far.NSAutoRec:
        return far.NSAutoRec(**{**TRAINED, "mode": "alternating", "out": "tanh", **params})


@pytest.mark.grid
class TestLimited(ModelContract):
    def make(self, **params: Any) -> far.NSAutoRec:
        return far.NSAutoRec(**{**TRAINED, "mode": "limited", "exclude_positives": True, **params})


class TestFull(ModelContract):
    def make(self, **params: Any) -> far.NSAutoRec:
        return far.NSAutoRec(**{**TRAINED, "mode": "full", "activation": "tanh", **params})


class TestPaper(ModelContract):
    def make(self, **params: Any) -> far.NSAutoRec:
        return far.NSAutoRec.paper(**{"factors": 8, "epochs": 2, "negatives": 40, "batch_size": 50, **params})


def watch_negatives(monkeypatch: pytest.MonkeyPatch, device: str) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    """Keep what was drawn for each (epoch, user)."""
    drawn: dict[tuple[int, int], tuple[bytes, bytes]] = {}
    backend = type(get_backend(device, 1))
    inner = backend.sample_negatives

    def watched(self: Any, sampler: Any, users: Any, exclude: Any, seed: int, epoch: int) -> Any:
        result = inner(self, sampler, users, exclude, seed, epoch)
        pattern, counts = result[0].to_host(), host(result[1])
        for i, user in enumerate(host(users).tolist()):
            row = slice(pattern.indptr[i], pattern.indptr[i + 1])
            assert counts[row].sum() == sampler.n_samples
            drawn[epoch, user] = pattern.indices[row].tobytes(), counts[row].tobytes()
        return result

    monkeypatch.setattr(backend, "sample_negatives", watched)
    return drawn


@every_device
def test_models_and_modes_of_one_seed_see_the_same_negatives(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = watch_negatives(monkeypatch, device)
    seen = []
    for case in [name for name in CASES if "NSAutoRec" in name]:
        for batch_size in (16, 60):
            drawn.clear()
            make(case, batch_size=batch_size, epochs=2, device=device).fit(TRAIN)
            seen.append(dict(drawn))
    assert len(seen) == 2 * (1 + len(MODES))
    assert set(seen[0]) == {(epoch, user) for epoch in (1, 2) for user in range(60)}
    assert all(other == seen[0] for other in seen)
    assert len(set(seen[0].values())) == 120  # new ones for every user and epoch
    make("OHNSAutoRec", random_state=1, epochs=2, device=device).fit(TRAIN)
    assert drawn != seen[0]


@every_device
def test_excluded_positives_are_never_drawn(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = watch_negatives(monkeypatch, device)
    for exclude in (False, True):
        drawn.clear()
        make("OHNSAutoRec", exclude_positives=exclude, device=device).fit(TRAIN)
        overlaps = [
            len(np.intersect1d(TRAIN[user].indices, np.frombuffer(ids, np.int32)))
            for (_, user), (ids, _) in drawn.items()
        ]
        assert len(overlaps) == 3 * 60
        assert any(overlaps) != exclude


@every_device
def test_ohns_recommends_from_its_only_head(device: str) -> None:
    model = make("OHNSAutoRec", epochs=30, learning_rate=0.05, device=device).fit(TRAIN)
    assert model.embedding_head_ is None
    assert [record["phase"] for record in model.history_] == ["embedding"] * 30
    scores = model.predict(TRAIN)
    positive = TRAIN.toarray() > 0
    assert scores[positive].mean() > 0.3 + scores[~positive].mean()
    start = make("OHNSAutoRec", init="svd", epochs=0, device=device).fit(TRAIN)
    target = far.NCEAutoRec(8, activation="relu", dropout=0.5, popularity_discount=0, device=device).fit(TRAIN)
    np.testing.assert_allclose(host(start.encoder_), host(target.encoder_), rtol=0, atol=1e-5)  # that of the NCE target


@every_device
def test_the_heads_of_two_headed_models_differ(device: str) -> None:
    model = make("NSAutoRec joint", device=device).fit(TRAIN)
    assert model.embedding_head_.shape == model.decoder_.shape == (40, 9)
    hidden = np.hstack([model.embed(TRAIN), np.asarray(TRAIN.sum(axis=1)) ** -0.5])
    np.testing.assert_allclose(model.predict(TRAIN), hidden @ host(model.decoder_).T, rtol=0, atol=1e-5)
    assert not np.array_equal(host(model.embedding_head_), host(model.decoder_))


@every_device
def test_the_embedding_phase_is_that_of_ohns(device: str) -> None:
    one = make("OHNSAutoRec", device=device).fit(TRAIN)
    for mode in ("limited", "full"):
        two = make(f"NSAutoRec {mode}", device=device).fit(TRAIN)
        first = [record["loss"] for record in two.history_ if record["phase"] == "embedding"]
        assert first == [record["loss"] for record in one.history_]
    limited = make("NSAutoRec limited", device=device).fit(TRAIN)
    np.testing.assert_array_equal(host(limited.encoder_), host(one.encoder_))
    np.testing.assert_array_equal(host(limited.embedding_head_), host(one.decoder_))


@every_device
def test_a_user_with_every_item(device: str) -> None:
    full = sparse.vstack([TRAIN, np.ones((1, 40))]).tocsr()
    model = make("NSAutoRec joint", device=device).fit(full)
    assert np.isfinite(model.predict(full)).all()
    for case in ("NSAutoRec joint", "OHNSAutoRec"):
        with pytest.raises(ValueError, match=r"`exclude_positives`.* row 60 holds all 40 items"):
            make(case, exclude_positives=True, device=device).fit(full)
    model = make("NSAutoRec joint", exclude_positives=True, device=device).fit(TRAIN)
    before = model.predict(TRAIN)
    with pytest.raises(ValueError, match="row 1 holds all 40 items"):
        model.partial_fit(sparse.vstack([TRAIN[:1], np.ones((1, 40))]).tocsr())
    np.testing.assert_array_equal(model.predict(TRAIN), before)


def test_a_user_with_every_item_that_can_be_drawn() -> None:
    """An item that no other user has cannot be drawn by popularity, so that nothing is left."""
    wider = sparse.hstack([sparse.vstack([TRAIN, np.ones((1, 40))]), sparse.csr_matrix((61, 2))]).tocsr()
    with pytest.raises(ValueError, match="row 60 holds all 40 items"):
        make("OHNSAutoRec", exclude_positives=True).fit(wider)
    uniform = make("OHNSAutoRec", exclude_positives=True, power=0.0).fit(wider)
    same_bits(uniform, make("OHNSAutoRec", exclude_positives=True, power=0.0).fit(wider))


@every_device
def test_many_negatives_are_the_expectation(device: str) -> None:
    """With all draws of Eq. 6 the loss of the first epoch approaches its expectation, sum by sum."""
    params = {"optimizer": "sgd", "learning_rate": 1e-30, "epochs": 1, "out": "tanh", "dropout": 0.0, "device": device}
    model = make("OHNSAutoRec", negatives=200_000, **params).fit(TRAIN)
    o = np.tanh(model.predict(TRAIN).astype(float))
    r, popularity = TRAIN.toarray(), np.asarray(TRAIN.sum(axis=0)).ravel()
    expected = -np.sum(r * o, axis=1) + r.sum(axis=1) * (o @ (popularity / popularity.sum()))
    model_loss = model.history_[0]["loss"]
    assert model_loss == pytest.approx(expected.mean(), abs=0.01 * np.abs(expected).mean())
