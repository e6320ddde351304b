from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from contract import ModelContract, train  # noqa: F401
from scipy import sparse

import fastautorec as far
from fastautorec._compute.inputs import check_user_items
from fastautorec._extras import require
from fastautorec.baselines import BPR, WRMF, wrmf
from fastautorec.baselines.bpr import history_keys
from fastautorec.exceptions import DivergedError

pytest.importorskip("implicit", reason="the models are trained by implicit")

BOTH = pytest.mark.parametrize("model_class", [BPR, WRMF])


class BaselineContract(ModelContract):
    def make_on(self, device: str) -> Any:
        if device != "cpu":
            pytest.skip("there is no such backend for these models")
        return self.make()

    def test_reference_backend_agrees(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        """There is no such backend for these models."""
        for device in ("reference", "cuda"):
            with pytest.raises(ValueError, match=f"`device` must be one of 'auto', 'cpu', got '{device}'"):
                self.make(device=device).fit(train)

    def test_early_stopping_keeps_the_best_state(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        known, held_out, _ = far.split(train, by="random")
        model = self.make(epochs=40, patience=2).fit(known, validation=held_out)
        metrics = [record["metric"] for record in model.history_]
        (best,) = model.best_epochs_
        assert best == 1 + int(np.argmax(metrics))
        assert [record.get("restored", False) for record in model.history_].index(True) == best - 1
        assert len(metrics) in (best + 2, 40)
        assert far.evaluate(model, known, held_out, k=(50,))["NDCG"].mean == pytest.approx(metrics[best - 1])
        again = self.make(epochs=model.best_epochs_).fit(known)
        np.testing.assert_array_equal(again.predict(known), model.predict(known))
        assert again.best_epochs_ == (best,)

    def test_a_callback_ends_training(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        model = self.make(epochs=9).fit(train, callbacks=[lambda record: record["epoch"] == 2])
        assert [record["epoch"] for record in model.history_] == [1, 2]
        np.testing.assert_array_equal(model.predict(train), self.make(epochs=2).fit(train).predict(train))

    def test_random_state_counts(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        one, other = (self.make(random_state=s).fit(train).predict(train) for s in (0, 1))
        assert not np.array_equal(one, other)

    def test_loads_without_the_library(self, model: Any, train: sparse.csr_matrix, tmp_path: Any) -> None:  # noqa: F811
        model.save(tmp_path / "model.npz")
        sparse.save_npz(tmp_path / "train.npz", train)
        program = (
            "import sys; sys.modules['implicit'] = None; import fastautorec as far; from scipy import sparse; "
            "print(far.load(sys.argv[1]).recommend(sparse.load_npz(sys.argv[2]), N=3)[0].sum())"
        )
        arguments = [sys.executable, "-c", program, tmp_path / "model.npz", tmp_path / "train.npz"]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
        assert int(done.stdout) == model.recommend(train, N=3)[0].sum()


class TestBPR(BaselineContract):
    def make(self, **params: Any) -> BPR:
        return BPR(**{"factors": 8, "epochs": 5, "num_threads": 1, **params})

    def test_training_users_have_their_vectors_in_any_row(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        model = self.make(popularity=0).fit(train)
        biases = model.item_factors_[:, -1]
        expected = model.user_factors_ @ model.item_factors_[:, :-1].T + biases
        rows = [7, 3, 90]
        np.testing.assert_allclose(model.predict(train[rows]), expected[rows], rtol=1e-5, atol=1e-6)

    def test_others_are_mapped(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        model = self.make(epochs=60).fit(train)
        histories = train.toarray()
        histories[np.arange(120), train.indices[train.indptr[:-1]]] = 0  # every history lacks an item
        mean = histories @ model.item_factors_[:, :-1] / histories.sum(axis=1)[:, None]
        expected = np.hstack([mean @ model.fold_in_, np.ones((120, 1))]) @ model.item_factors_.T
        got = model.predict(sparse.csr_matrix(histories))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
        trained = model.predict(train)
        correlation = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(got, trained, strict=True)])
        assert correlation > 0.8

    def test_the_map_is_the_best_linear_one(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        model = self.make(epochs=20).fit(train)
        mean = train @ model.item_factors_[:, :-1] / train.sum(axis=1).A
        expected = np.linalg.lstsq(mean, model.user_factors_, rcond=None)[0]
        residual, least = (np.square(model.user_factors_ - mean @ a).sum() for a in (model.fold_in_, expected))
        assert residual < 1.01 * least

    def test_popularity_is_added_to_the_biases(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        plain, shifted = (self.make(popularity=p).fit(train).predict(train) for p in (0, 2))
        expected = np.tile(2 * np.log(train.sum(axis=0)), (120, 1))
        np.testing.assert_allclose(shifted - plain, expected, rtol=1e-4, atol=1e-4)

    def test_divergence(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        with pytest.raises(DivergedError, match=r"BPR diverged in epoch \d+: BPR\(.*use a smaller `learning_rate`"):
            self.make(learning_rate=1e20, epochs=30).fit(train)


class TestWRMF(BaselineContract):
    answers_strangers_by_popularity = True

    def make(self, **params: Any) -> WRMF:
        return WRMF(**{"factors": 8, "regularization": 1.0, "epochs": 5, "num_threads": 1, **params})

    @pytest.mark.parametrize("budget", [1, 20_000, 1 << 22])
    def test_fold_in_solves_the_normal_equations(
        self,
        train: sparse.csr_matrix,  # noqa: F811
        monkeypatch: pytest.MonkeyPatch,
        budget: int,
    ) -> None:
        model = self.make().fit(train)
        monkeypatch.setattr(wrmf, "FOLD_IN_BYTES", budget)
        items = model.item_factors_.astype(np.float64)
        got = model.embed(sparse.vstack([train, sparse.csr_matrix((1, 60))]))
        for row, vector in zip(train.toarray(), got, strict=False):
            confidence = 1 + model.alpha * row
            system = items.T @ (confidence[:, None] * items) + model.regularization * np.eye(8)
            np.testing.assert_allclose(
                vector, np.linalg.solve(system, items.T @ (confidence * row)), rtol=1e-4, atol=1e-5
            )
        assert not got[-1].any()

    @pytest.mark.parametrize("budget", [1, 1 << 22])
    def test_weights_are_confidences(
        self,
        train: sparse.csr_matrix,  # noqa: F811
        monkeypatch: pytest.MonkeyPatch,
        budget: int,
    ) -> None:
        monkeypatch.setattr(wrmf, "FOLD_IN_BYTES", budget)
        weights = np.random.default_rng(0).integers(1, 9, train.nnz).astype(np.float32)
        data = far.Interactions(train, weights=weights)
        model, plain = self.make(epochs=20).fit(data), self.make(epochs=20).fit(train)
        assert not np.allclose(model.item_factors_, plain.item_factors_, atol=1e-2)
        items, dense = model.item_factors_.astype(np.float64), train.toarray().astype(np.float64)
        dense[train.nonzero()] = weights
        for row, vector in zip(dense, model.embed(data), strict=True):
            confidence = 1 + model.alpha * row
            system = items.T @ (confidence[:, None] * items) + model.regularization * np.eye(8)
            solved = np.linalg.solve(system, items.T @ (confidence * (row > 0)))
            np.testing.assert_allclose(vector, solved, rtol=1e-4, atol=1e-5)

        def objective(fitted: WRMF) -> float:
            users, vectors = fitted.embed(data), fitted.item_factors_
            error = (1 + fitted.alpha * dense) * np.square((dense > 0) - users @ vectors.T)
            return float(error.sum() + fitted.regularization * (np.square(users).sum() + np.square(vectors).sum()))

        assert objective(model) < objective(plain)
        ones = far.Interactions(train, weights=np.ones(train.nnz))
        np.testing.assert_allclose(self.make().fit(ones).item_factors_, self.make().fit(train).item_factors_, rtol=1e-5)
        known, held_out = far.split(data, (0.7, 0.3), by="random")
        validated = self.make().fit(known, validation=held_out)
        best = max(record["metric"] for record in validated.history_)
        assert best == pytest.approx(far.evaluate(validated, known, held_out, k=50)["NDCG"].mean)

    def test_weights_count_in_every_answer(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        weights = np.random.default_rng(0).integers(1, 9, train.nnz).astype(np.float32)
        data = far.Interactions(train, [f"u{i}" for i in range(train.shape[0])], weights=weights)
        model = self.make(epochs=20).fit(data)
        ids, scores = model.recommend(data, N=5)
        assert not np.array_equal(scores, model.recommend(train, N=5)[1])
        table = model.recommend_table(data, users=["u3", "u0"], N=5)
        np.testing.assert_allclose(table["score"], [*scores[3], *scores[0]], rtol=1e-5)
        said = model.explain(data, ids[:, :1], N=1)
        np.testing.assert_allclose(said.scores[:, 0], scores[:, 0], rtol=1e-4, atol=1e-6)

    def test_factors_of_one_direction(self) -> None:
        few = far.datasets.synthetic(300, 100, 3000, random_state=0)
        with pytest.warns(
            UserWarning, match=r"one direction at most.*`regularization`=50 is too strong.* such as 1$"
        ) as told:
            collapsed = WRMF().fit(few)
        assert told[0].filename == __file__
        firsts = collapsed.recommend(few, N=1, filter_already_liked_items=False)[0]
        assert len(np.unique(firsts)) == 1
        mended = WRMF(regularization=1).fit(few)  # a warning would be an error here
        assert len(np.unique(mended.recommend(few, N=1, filter_already_liked_items=False)[0])) > 20
        with pytest.warns(UserWarning, match="one direction at most"):
            WRMF(factors=2).fit(sparse.csr_matrix(np.eye(3)))  # no direction at all
        WRMF(factors=1).fit(few)

    def test_lowers_the_objective(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        def objective(model: WRMF) -> float:
            users, items = model.embed(train), model.item_factors_
            dense = train.toarray()
            error = (1 + model.alpha * dense) * np.square(dense - users @ items.T)
            return float(error.sum() + model.regularization * (np.square(users).sum() + np.square(items).sum()))

        values = [objective(self.make(epochs=epochs).fit(train)) for epochs in (1, 3, 20)]
        assert values[0] > values[1] > values[2]


@BOTH
@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"factors": 0}, ValueError, "`factors` must be >= 1"),
        ({"regularization": 0}, ValueError, "`regularization` must be > 0"),
        ({"epochs": 0}, ValueError, "`epochs` must be >= 1"),
        ({"epochs": (1, 2)}, ValueError, "`epochs` must be one number, got 2"),
        ({"epochs": "many"}, TypeError, "`epochs` must be an integer, got str"),
        ({"patience": 0}, ValueError, "`patience` must be >= 1"),
        ({"metric": "AUC"}, ValueError, "`metric` must be"),
    ],
)
def test_bad_parameters(
    model_class: Any,
    params: dict[str, Any],
    error: type[Exception],
    message: str,
    train: sparse.csr_matrix,  # noqa: F811
) -> None:
    with pytest.raises(error, match=message):
        model_class(**params).fit(train)


def test_bad_parameters_of_one(train: sparse.csr_matrix) -> None:  # noqa: F811
    with pytest.raises(ValueError, match="`alpha` must be >= 0"):
        WRMF(alpha=-1).fit(train)
    with pytest.raises(ValueError, match="`learning_rate` must be > 0"):
        BPR(learning_rate=0).fit(train)
    with pytest.raises(TypeError, match="`popularity` must be a number"):
        BPR(popularity="much").fit(train)


@BOTH
def test_missing_library(model_class: Any, train: sparse.csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setitem(sys.modules, "implicit", None)
    for name in ("implicit.cpu", "implicit.cpu.als", "implicit.cpu.bpr"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    message = rf"`{model_class.__name__}` needs the package implicit; pip install 'fastautorec\[baselines\]'"
    with pytest.raises(ImportError, match=message):
        model_class(epochs=1).fit(train)


def test_require_returns_the_module() -> None:
    assert require("json.decoder", "BPR", "baselines").JSONDecoder


def test_history_keys() -> None:
    rows = sparse.csr_matrix(np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 1], [0, 0, 1]], np.float32))
    keys = history_keys(check_user_items("rows", rows))
    assert keys[0] == keys[3]
    assert keys[2] == 0
    assert len(set(keys.tolist())) == 4
    assert keys[1] == 0x6E789E6AA1B965F4  # of the generator's published sequence; model files hold it
    part = check_user_items("rows", rows).rows(1, 5)
    np.testing.assert_array_equal(history_keys(part), keys[1:])
