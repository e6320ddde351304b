"""The models trained by PyTorch: the contract, the training loop, what is kept, what is refused."""

from __future__ import annotations

import doctest
import re
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from contract import ModelContract, train  # noqa: F401
from scipy import sparse
from small_baselines import SMALL, data, make

import fastautorec as far
from fastautorec.baselines import _epochs, _torch
from fastautorec.baselines import cdae as cdae_module
from fastautorec.baselines import cml as cml_module
from fastautorec.baselines import vaecf as vaecf_module
from fastautorec.baselines.cdae import CDAE
from fastautorec.baselines.cml import CML
from fastautorec.baselines.vaecf import VAECF
from fastautorec.exceptions import BackendUnavailableError, DivergedError

torch = pytest.importorskip("torch", reason="the models are trained by PyTorch")


every_model = pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
every_user_model = pytest.mark.parametrize("cls", [CML, CDAE], ids=lambda cls: cls.__name__)


# --- the contract of all models -------------------------------------------------------------------------------------


class TorchContract(ModelContract):
    cls: type

    def make_on(self, device: str) -> Any:
        if device != "cpu":
            pytest.skip("there is no such backend for these models")
        return self.make()

    def make_default(self) -> Any:
        return self.cls(epochs=2, device="cpu")

    def make(self, **params: Any) -> Any:
        return make(self.cls, **params)

    def test_same_bits_for_any_number_of_threads(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        """PyTorch promises the same bits for the same number of threads only."""
        first, again, other = (self.make(random_state=s).fit(train).predict(train) for s in (5, 5, 6))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
        np.testing.assert_allclose(self.make(num_threads=2, random_state=5).fit(train).predict(train), first, atol=0.01)

    def test_reference_backend_agrees(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        with pytest.raises(ValueError, match=r"`device` must be one of 'auto', 'cpu', 'cuda', got 'reference'"):
            self.make(device="reference").fit(train)


class UserContract(TorchContract):
    """Of models with a vector for each user, who cannot serve others."""

    serves_strangers = False

    def test_histories_that_say_nothing(self) -> None:
        """Those of training users always say something: who they are."""

    def test_predict_some_items_in_their_order(self, model: Any, train: sparse.csr_matrix) -> None:  # noqa: F811
        np.testing.assert_allclose(
            model.predict(train, items=[9, 2]), model.predict(train)[:, [9, 2]], rtol=1e-5, atol=1e-6
        )

    def test_new_users_need_no_training(self, model: Any) -> None:
        for rows in (1, 119, 121):
            with pytest.raises(
                ValueError,
                match=rf"`user_items` must have one row for each of the 120 users .* got {rows} rows; pass all",
            ):
                model.recommend(sparse.csr_matrix((rows, 60)), N=5)

    def test_empty_history_gets_a_full_list(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        some = sparse.vstack([train[:100], sparse.csr_matrix((20, 60))]).tocsr()
        ids, scores = self.make().fit(some).recommend(some, N=5)
        assert (ids >= 0).all()
        assert np.isfinite(scores).all()
        assert (ids[100:] == ids[100]).all()

    def test_no_rows(self, model: Any) -> None:
        with pytest.raises(ValueError, match="got 0 rows"):
            model.recommend(sparse.csr_matrix((0, 60)), N=5)

    def test_evaluate_knows_which_row_is_which_user(self, model: Any, train: sparse.csr_matrix) -> None:  # noqa: F811
        """The users that count, put in another order inside, keep their vectors."""
        every_third = sparse.diags((np.arange(120) % 3 > 0).astype(np.float32))
        wanted = (every_third @ far.datasets.synthetic(120, 60, 500, random_state=9)).tocsr()
        report = far.evaluate(model, train, wanted, k=7)
        ids, _ = model.recommend(train, N=7)
        ready_made = far.evaluate_ranking(ids, train, wanted, k=7)
        np.testing.assert_array_equal(report.users, ready_made.users)
        np.testing.assert_allclose(report["NDCG"].per_user, ready_made["NDCG"].per_user)


class TestCML(UserContract):
    cls = CML


class TestCDAE(UserContract):
    cls = CDAE


class TestCDAESquared(UserContract):
    cls = CDAE

    def make(self, **params: Any) -> CDAE:
        return make(CDAE, **{"loss": "squared", "activation": "tanh", "dropout": 0.0, **params})


class TestVAECF(TorchContract):
    cls = VAECF

    def test_embed_is_the_mean_of_the_posterior(self, model: Any, train: sparse.csr_matrix) -> None:  # noqa: F811
        dense = train.toarray() / np.sqrt(train.sum(axis=1)).A
        first = np.tanh(dense @ model.encoder_ + model.encoder_bias_)
        mean = first @ model.mean_[:, :-1].T + model.mean_[:, -1]
        np.testing.assert_allclose(model.embed(train), mean, rtol=1e-4, atol=1e-5)


# --- the training loop ------------------------------------------------------------------------------------------------


@every_model
def test_training_learns(cls: type) -> None:
    seen, held_out = data()
    rate = {CML: 0.1, CDAE: 0.02, VAECF: 0.01}[cls]
    model = make(cls, epochs=25, patience=25, learning_rate=rate, batch_size={CML: 400}.get(cls, 20))
    model.fit(seen, validation=held_out)
    losses = [record["loss"] for record in model.history_]
    assert np.mean(losses[-3:]) < 0.97 * losses[0]
    assert far.evaluate(model, seen, held_out)["NDCG"].mean > model.history_[0]["metric"]


@every_model
def test_early_stopping_restores_the_best_state(cls: type, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, held_out = data()
    judged: list[dict[str, Any]] = []

    def scripted(model: Any, fitted: dict[str, Any], run: Any, metric: str) -> float:
        judged.append({name: np.copy(fitted[name]) for name in cls._arrays})
        return [0.1, 0.3, 0.2, 0.25, 0.29][len(judged) - 1]

    monkeypatch.setattr(_epochs, "validation_metric", scripted)
    model = make(cls, epochs=20, patience=3).fit(seen, validation=held_out)
    assert model.best_epochs_ == (2,)
    assert len(judged) == len(model.history_) == 5
    assert [record["epoch"] for record in model.history_] == [1, 2, 3, 4, 5]
    assert [record["epoch"] for record in model.history_ if record.get("restored")] == [2]
    for name in cls._arrays:
        np.testing.assert_array_equal(getattr(model, name), judged[1][name])
        assert not np.array_equal(judged[1][name], judged[4][name])
    again = make(cls, epochs=model.best_epochs_).fit(seen)
    for name in cls._arrays:
        np.testing.assert_array_equal(getattr(again, name), judged[1][name])


@every_model
def test_validation_changes_no_bit_and_is_recorded(cls: type) -> None:
    seen, held_out = data()
    with_metric, without = make(cls).fit(seen, validation=held_out), make(cls).fit(seen)
    if with_metric.best_epochs_ == (2,):
        np.testing.assert_array_equal(with_metric.predict(seen), without.predict(seen))
    losses, same = ([record["loss"] for record in model.history_] for model in (with_metric, without))
    assert losses == same
    best = max(record["metric"] for record in with_metric.history_)
    assert far.evaluate(with_metric, seen, held_out, k=50)["NDCG"].mean == pytest.approx(best, rel=1e-6)
    assert "metric" not in without.history_[0]


def test_without_validation_the_loss_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.25, 9.0])
    monkeypatch.setattr(CDAE, "_loss", lambda self, torch, weights, batch: 0 * weights["users"].sum() + next(losses))
    model = make(CDAE, epochs=50, patience=2, batch_size=1000).fit(data()[0])
    assert [record["loss"] for record in model.history_] == [3.0, 2.0, 2.5, 2.25]
    assert model.best_epochs_ == (4,)


def test_losses_do_not_decide_while_the_objective_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([1.0, 2.0, 3.0, 4.0, 3.5, 5.0, 5.0, 5.0])
    monkeypatch.setattr(VAECF, "_loss", lambda self, torch, weights, batch: 0 * weights["encoder"].sum() + next(losses))
    model = make(VAECF, epochs=50, patience=2, batch_size=1000, annealing=4).fit(data()[0])
    assert model.best_epochs_ == (7,)


@every_model
def test_callbacks_see_records_and_end_training(cls: type) -> None:
    records: list[dict[str, Any]] = []

    def enough(record: dict[str, Any]) -> bool:
        records.append(record)
        return record["epoch"] == 3

    model = make(cls, epochs=10).fit(data()[0], callbacks=[enough])
    assert model.history_ == records
    assert model.best_epochs_ == (3,)
    assert all(record.keys() == {"phase", "epoch", "seconds", "loss"} for record in records)


@every_model
def test_pytorch_is_left_as_it_was(cls: type) -> None:
    threads, generator = torch.get_num_threads(), torch.get_rng_state()
    inside: list[int] = []
    make(cls, num_threads=threads + 1).fit(data()[0], callbacks=[lambda _: inside.append(torch.get_num_threads())])
    assert set(inside) == {threads + 1}
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), generator)
    with torch.no_grad():
        make(cls).fit(data()[0])

    def fail(record: dict[str, Any]) -> None:
        raise RuntimeError("from a callback")

    with pytest.raises(RuntimeError, match="from a callback"):
        make(cls, num_threads=threads + 1).fit(data()[0], callbacks=[fail])
    assert torch.get_num_threads() == threads


@every_model
def test_users_without_interactions_teach_nothing(cls: type) -> None:
    seen, _ = data()
    with_gaps = sparse.csr_matrix((400, 50), dtype=np.float32).tolil()
    with_gaps[::2] = seen
    model = make(cls).fit(with_gaps.tocsr())
    assert model.n_users_ == 400
    assert all(np.isfinite(record["loss"]) for record in model.history_)
    if cls is CML:
        np.testing.assert_allclose(model.user_factors_[1], model.user_factors_[::2].mean(axis=0), atol=1e-6)
    if cls is CDAE:
        assert not model.user_factors_[1::2].any()
        assert model.user_factors_[::2].any(axis=1).all()


# --- what is refused --------------------------------------------------------------------------------------------------


@every_model
def test_missing_pytorch_is_named_with_its_extra(cls: type, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(cls).fit(data()[0])
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=rf"`{cls.__name__}` needs .*torch.*pip install 'fastautorec\[baselines\]'"):
        make(cls).fit(data()[0])
    model.recommend(data()[0])  # needs none


def test_cuda_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendUnavailableError, match=r"PyTorch .* finds no CUDA device; use device='cpu'"):
        make(VAECF, device="cuda").fit(data()[0])
    assert make(VAECF, device="auto").fit(data()[0]).trained_on_ == "cpu"


def test_auto_takes_cuda_where_it_is() -> None:
    fake = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True))
    assert [_torch.choose_device(fake, device) for device in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]


@pytest.mark.gpu
@every_model
def test_a_gpu_trains_the_same_model(cls: type) -> None:
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no CUDA device")
    seen, _ = data()
    host, gpu = (make(cls, device=device).fit(seen) for device in ("cpu", "cuda"))
    assert gpu.trained_on_ == "cuda"
    np.testing.assert_allclose(gpu.predict(seen), host.predict(seen), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("cls", [CDAE, VAECF], ids=lambda cls: cls.__name__)
def test_divergence(cls: type) -> None:
    with pytest.raises(DivergedError, match=r"epoch \d+: the loss is (nan|inf) with `learning_rate`=1e\+30"):
        make(cls, learning_rate=1e30, epochs=5, weight_decay=1.0).fit(data()[0])


@pytest.mark.parametrize(
    ("cls", "params", "error", "message"),
    [
        (CML, {"factors": 0}, ValueError, "`factors` must be >= 1, got 0"),
        (CML, {"margin": 0.0}, ValueError, "`margin` must be > 0, got 0"),
        (CML, {"negatives": 1.5}, TypeError, "`negatives` must be an integer, got float"),
        (CML, {"covariance_weight": -1}, ValueError, "`covariance_weight` must be >= 0, got -1"),
        (CML, {"batch_size": 0}, ValueError, "`batch_size` must be >= 1, got 0"),
        (CDAE, {"activation": "gelu"}, ValueError, "`activation` must be one of"),
        (CDAE, {"loss": "hinge"}, ValueError, "`loss` must be one of 'logistic', 'squared', got 'hinge'"),
        (CDAE, {"dropout": 1.0}, ValueError, "`dropout` must be >= 0 and < 1, got 1"),
        (CDAE, {"weight_decay": -0.1}, ValueError, "`weight_decay` must be >= 0, got -0.1"),
        (CDAE, {"epochs": 0}, ValueError, "`epochs` must be >= 1, got 0"),
        (CDAE, {"epochs": [2, 3]}, ValueError, "`epochs` must be one number, got 2"),
        (CDAE, {"epochs": "ten"}, TypeError, "`epochs` must be an integer, got str"),
        (VAECF, {"hidden": 0}, ValueError, "`hidden` must be >= 1, got 0"),
        (VAECF, {"beta": -1.0}, ValueError, "`beta` must be >= 0, got -1"),
        (VAECF, {"annealing": -1}, ValueError, "`annealing` must be >= 0, got -1"),
        (VAECF, {"learning_rate": 0.0}, ValueError, "`learning_rate` must be > 0, got 0"),
        (VAECF, {"patience": 0}, ValueError, "`patience` must be >= 1, got 0"),
        (VAECF, {"metric": "AUC"}, ValueError, "`metric` must be 'NDCG'"),
        (VAECF, {"random_state": -1}, ValueError, "`random_state` must be >= 0, got -1"),
        (VAECF, {"device": "tpu"}, ValueError, "`device` must be one of 'auto', 'cpu', 'cuda', got 'tpu'"),
    ],
)
def test_bad_parameters(cls: type, params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make(cls, **params).fit(data()[0])


@every_user_model
def test_evaluate_refuses_other_users(cls: type) -> None:
    seen, held_out = data()
    model = make(cls).fit(seen)
    with pytest.raises(ValueError, match=r"`train` must have one row for each of the 200 users that .* got 50 rows"):
        far.evaluate(model, seen[:50], held_out[:50])


@pytest.mark.parametrize("module", [cml_module, cdae_module, vaecf_module], ids=lambda module: module.__name__)
def test_examples(module: Any) -> None:
    """The examples of the docstrings, which are skipped elsewhere, for PyTorch may be missing."""
    tested = 0
    for test in doctest.DocTestFinder().find(module):
        for example in test.examples:
            example.options.pop(doctest.SKIP, None)
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
        assert result.failed == 0
        tested += result.attempted
    assert tested
