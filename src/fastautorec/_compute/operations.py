"""The operations on user input: check the arguments, then call a backend. `ops` and `reference` offer them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import MAX_ITEMS, check_bool, check_choice, check_cutoffs, check_int, check_rate, check_real
from fastautorec._compute.arrays import check_rows, check_something_left, check_weights
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_matching
from fastautorec._compute.parameter import RULES, Parameter
from fastautorec._compute.protocol import (
    ACTIVATIONS,
    DEFINITIONS,
    NUMERATORS,
    OUTPUTS,
    Backend,
    FloatArray,
    IdArray,
    metric_names,
)
from fastautorec._compute.sampling import MAX_SAMPLES, make_sampler, popularity_weights

CUTOFFS = (5, 10, 20, 50)

HeadGradients = tuple[float, FloatArray, FloatArray, FloatArray]  # loss; of hidden units, decoder and bias


class Operations:
    """The public functions on one backend; `fastautorec.ops` describes them."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self._inputs = backend, backend.inputs

    def _take(self, check: str, name: str, given: Any, **options: Any) -> Csr:
        """Return a checked sparse matrix where the operations want it."""
        self._inputs.check_place(name, given)
        return self._backend.put(getattr(self._inputs, check)(name, given, **options))

    def count_items(self, user_items: Any) -> npt.NDArray[np.int64]:
        """Return the number of users of each item; see `fastautorec.ops.count_items`."""
        counts = self._backend.count_items(self._take("user_items", "user_items", user_items))
        return self._backend.to_device(counts)

    def nce_transform(self, user_items: Any, beta: float = 1.0, numerator: str = "interactions") -> sparse.csr_matrix:
        """Return the NCE targets R*; see `fastautorec.ops.nce_transform`."""
        x = self._take("user_items", "user_items", user_items)
        check_choice("numerator", numerator, NUMERATORS)
        return self._backend.give(self._backend.nce_transform(x, check_real("beta", beta, 0), numerator))

    def encode(
        self, user_items: Any, weight: npt.ArrayLike, bias: npt.ArrayLike | None = None, activation: str = "relu"
    ) -> FloatArray:
        """Return act(X W + b); see `fastautorec.ops.encode`."""
        x = self._take("values", "user_items", user_items)
        w = self._inputs.dense("weight", weight, (x.n_cols, None), f"one row for each of the {x.n_cols} items")
        units = w.shape[1]
        b = (
            None
            if bias is None
            else self._inputs.dense("bias", bias, (units,), f"one value for each of the {units} units")
        )
        check_choice("activation", activation, ACTIVATIONS)
        return self._backend.encode(x, w, b, activation)

    def encode_backward(self, user_items: Any, grad: npt.ArrayLike) -> FloatArray:
        """Return X^T grad; see `fastautorec.ops.encode_backward`."""
        x = self._take("values", "user_items", user_items)
        users = x.shape[0]
        return self._backend.encode_backward(
            x, self._inputs.dense("grad", grad, (users, None), f"one row for each of the {users} users")
        )

    def gram_product(self, user_items: Any, block: npt.ArrayLike) -> FloatArray:
        """Return X^T (X block); see `fastautorec.ops.gram_product`."""
        x = self._take("values", "user_items", user_items)
        return self._backend.gram_product(
            x, self._inputs.dense("block", block, (x.n_cols, None), f"one row for each of the {x.n_cols} items")
        )

    def drop_entries(self, user_items: Any, rate: float, *, seed: int = 0, epoch: int = 0) -> sparse.csr_matrix:
        """Return X with entries dropped at random; see `fastautorec.ops.drop_entries`."""
        x = self._take("values", "user_items", user_items)
        rate = check_rate("rate", rate)
        seed = check_int("seed", seed, 0, 2**64 - 1)
        return self._backend.give(self._backend.drop_entries(x, rate, seed, check_int("epoch", epoch, 0, 2**32 - 1)))

    def mse_head(
        self, hidden: npt.ArrayLike, decoder: npt.ArrayLike, bias: npt.ArrayLike | None, target: Any
    ) -> HeadGradients:
        """Return the squared error over all items and its gradients; see `fastautorec.ops.mse_head`."""
        t = self._take("values", "target", target)
        h, d = self._with_bias_column(hidden, decoder, bias, *t.shape)
        grad_hidden, grad_decoder = np.zeros_like(h), np.empty_like(d)
        parameter = Parameter(d, "gradient", grad_decoder)
        loss = self._backend.mse_head(h, parameter, t, grad_hidden=grad_hidden)
        return _split_bias_column(loss, grad_hidden, grad_decoder)

    def ns_head(
        self,
        hidden: npt.ArrayLike,
        decoder: npt.ArrayLike,
        bias: npt.ArrayLike | None,
        positives: Any,
        negatives: Any,
        out: str = "sigmoid",
    ) -> HeadGradients:
        """Return the negative-sampling loss and its gradients; see `fastautorec.ops.ns_head`."""
        r = self._take("user_items", "positives", positives)
        self._inputs.check_place("negatives", negatives)
        drawn, counts = self._inputs.counts("negatives", negatives)
        s = self._backend.put(drawn)
        check_matching("negatives", s, r.shape, "positives")
        check_choice("out", out, OUTPUTS)
        h, d = self._with_bias_column(hidden, decoder, bias, *r.shape)
        grad_hidden, grad_decoder = np.zeros_like(h), np.empty_like(d)
        parameter = Parameter(d, "gradient", grad_decoder)
        loss = self._backend.ns_head(h, parameter, r, s, counts, out, grad_hidden=grad_hidden)
        return _split_bias_column(loss, grad_hidden, grad_decoder)

    def optimizer_step(
        self,
        weights: npt.ArrayLike,
        grad: npt.ArrayLike,
        first: npt.ArrayLike | None = None,
        second: npt.ArrayLike | None = None,
        rule: str = "adam",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        step: int = 0,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
        """Return weights and moments after one step; see `fastautorec.ops.optimizer_step`."""
        w = self._inputs.dense("weights", weights, (None, None), "two dimensions")
        same = f"the shape of `weights`, {w.shape}"
        g = self._inputs.dense("grad", grad, w.shape, same)
        m = None if first is None else self._inputs.dense("first", first, w.shape, same).copy()
        v = None if second is None else self._inputs.dense("second", second, w.shape, same).copy()
        if v is not None and v.size and float(v.min()) < 0:
            raise ValueError(f"`second` must hold averages of squares, >= 0, got {float(v.min())}")
        check_choice("rule", rule, RULES[1:])
        parameter = Parameter(
            w.copy(),
            rule,
            m,
            v,
            check_real("learning_rate", learning_rate, 0, above=True),
            check_real("weight_decay", weight_decay, 0),
            step=check_int("step", step, 0, 2**53),
            beta1=check_real("beta1", beta1, 0, 1, below=True),
            beta2=check_real("beta2", beta2, 0, 1, below=True),
            epsilon=check_real("epsilon", epsilon, 0, above=True),
        )
        self._backend.optimizer_step(parameter, g)
        return parameter.value, parameter.first, parameter.second

    def sample_negatives(
        self,
        user_items: Any,
        n_samples: int,
        power: float = 1.0,
        exclude_positives: bool = False,
        seed: int = 0,
        epoch: int = 0,
        rows: npt.ArrayLike | None = None,
        *,
        weights: npt.ArrayLike | None = None,
    ) -> sparse.csr_matrix:
        """Return counts of items drawn for each user; see `fastautorec.ops.sample_negatives`."""
        x = self._take("user_items", "user_items", user_items, fitting=weights is None)
        n_samples = check_int("n_samples", n_samples, 1, MAX_SAMPLES)
        power = check_real("power", power, 0)
        exclude_positives = check_bool("exclude_positives", exclude_positives)
        seed = check_int("seed", seed, 0, 2**64 - 1)
        epoch = check_int("epoch", epoch, 0, 2**32 - 1)
        users = np.arange(x.shape[0]) if rows is None else check_rows("rows", rows, x.shape[0])
        if weights is None:
            p = popularity_weights(self._backend.count_items(x), power)
        elif power != 1:
            raise ValueError(f"`power` must stay 1 where `weights` are given, got {power:g}; raise the weights to it")
        else:
            p = check_weights("weights", weights, x.n_cols)
        sampler = make_sampler(p, n_samples)
        exclude = x.take_rows(users) if exclude_positives else None
        if exclude is not None:
            check_something_left(exclude, sampler.widths())
        pattern, counts = self._backend.sample_negatives(sampler, users, exclude, seed, epoch)
        return self._backend.give(pattern.with_data(cast(FloatArray, counts)))  # integers, for once

    def top_items(
        self,
        scores: npt.ArrayLike,
        N: int,
        exclude: Any = None,
    ) -> tuple[IdArray, FloatArray]:
        """Return the best N items of each row; see `fastautorec.ops.top_items`."""
        values = self._inputs.dense("scores", scores, (None, None), "two dimensions (users, items)", finite=False)
        n_top = check_int("N", N, 1, MAX_ITEMS)
        left_out = None
        if exclude is not None:
            left_out = self._take("user_items", "exclude", exclude)
            check_matching("exclude", left_out, values.shape, "scores")
        return self._backend.top_items(values, n_top, left_out)

    def ranking_metrics(
        self, item_ids: npt.ArrayLike, test: Any, k: int | tuple[int, ...] = CUTOFFS, definition: str = "standard"
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Return ranking metrics of each user; see `fastautorec.ops.ranking_metrics`."""
        relevant = self._take("user_items", "test", test)
        ids = self._inputs.ranking("item_ids", item_ids, *relevant.shape)
        cutoffs = check_cutoffs(k)
        check_choice("definition", definition, DEFINITIONS)
        table = self._backend.ranking_metrics(ids, relevant, cutoffs, definition)
        return dict(zip(metric_names(cutoffs, definition), table.T, strict=True))

    def _with_bias_column(
        self, hidden: npt.ArrayLike, decoder: npt.ArrayLike, bias: npt.ArrayLike | None, users: int, items: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return [H 1] and [D c]."""
        dense = self._inputs.dense
        h = dense("hidden", hidden, (users, None), f"one row for each of the {users} users")
        units = h.shape[1]
        rule = f"one row for each of the {items} items and one column for each of the {units} hidden units"
        d = dense("decoder", decoder, (items, units), rule)
        c = 0 if bias is None else dense("bias", bias, (items,), f"one value for each of the {items} items")
        h1, d1 = self._backend.empty(users, units + 1), self._backend.empty(items, units + 1)
        h1[:, :-1], h1[:, -1], d1[:, :-1], d1[:, -1] = h, 1, d, c
        return h1, d1


def _split_bias_column(loss: Any, grad_hidden: FloatArray, grad_decoder: FloatArray) -> HeadGradients:
    return float(loss), grad_hidden[:, :-1].copy(), grad_decoder[:, :-1].copy(), grad_decoder[:, -1].copy()
