"""Models with one encoder and a linear prediction head: scores = D₁ h₁, h₁ = [act(xW + b), g]."""

from __future__ import annotations

from typing import Any, ClassVar

from fastautorec._checks import adapted
from fastautorec._compute.protocol import DEVICE_SCORES, HOST_SCORES, FloatArray
from fastautorec._compute.threads import resolve_num_threads
from fastautorec._compute.top_lists import DotScorer, tile_shape
from fastautorec._training import closed_form as _exact
from fastautorec._training.closed_form import Encoder
from fastautorec._training.network import contiguous
from fastautorec.models._base import Recommender
from fastautorec.models._memory_plan import DEVICE_DOUBLE, Plan, device_parts

PANEL_BYTES = 128  # for each item, of a packed panel of columns in the native core
THREAD_BYTES = 16 << 20  # measured


class EncoderModel(Recommender):
    """Base of the AutoRec family and of the linear models that are special cases of it.

    Attributes
    ----------
    encoder_ : float32 (n, k)
        Encoder W, one row for each item.
    encoder_bias_ : float32 (k,) or None
        Encoder bias b.
    decoder_ : float32 (n, k) or (n, k + 1)
        Prediction head D, the intercept in the last column where there is one.
    """

    _arrays: ClassVar[tuple[str, ...]] = ("encoder_", "encoder_bias_", "decoder_")

    factors: int
    encoder_: FloatArray
    encoder_bias_: FloatArray | None
    decoder_: FloatArray

    def embed(self, user_items: Any) -> FloatArray:
        """Return the hidden units of histories.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)

        Returns
        -------
        float32 (q, factors)
        """
        model = self._as_fitted()
        history = model._check_history(model._in_order(user_items))
        encoder, backend = model._encoder(), model._backend()
        with backend.active():
            hidden = encoder.hidden(backend, encoder.inputs(backend.put(history).rows(0, history.shape[0])))
            units = contiguous(hidden[:, : encoder.weight.shape[1]])
            return units if backend.inputs.on_device(user_items) else backend.to_host(units)

    def _encoder(self) -> Encoder:
        """Return the fitted encoder."""
        return Encoder(self.encoder_, self.encoder_bias_, self._activation(), self._normalize(), self._intercept())

    def _adapt_to(self, n_vectors: int) -> None:
        most = self._most_factors(n_vectors)
        if most is not None:
            self.factors = adapted(self.factors, most)

    def _most_factors(self, n_vectors: int) -> int | None:
        """Return the largest ``factors`` that so many singular vectors are enough for, or None where none are used."""
        return n_vectors

    def _activation(self) -> str:
        return "identity"

    def _normalize(self) -> str | None:
        return None

    def _intercept(self) -> str | None:
        return None

    def _scorer(self) -> DotScorer:
        encoder = self._encoder()
        return DotScorer(lambda backend, history: encoder.hidden(backend, encoder.inputs(history)), self.decoder_)

    def _item_vectors(self) -> FloatArray:
        return self.encoder_

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        k = self.factors
        width = min(k + _exact.OVERSAMPLING, n)
        users = min(m, _exact.tile_users(k + 1, m, nnz))
        always = self._always(m, n)
        embedding = {
            "weights of the users": 16 * m,
            "blocks of the subspace iteration": n * width * 4 * 4 + 3 * 8 * width * width,
        }
        prediction = {
            "hidden units of a tile of users": 4 * users * (k + 1),
            "input of a tile of users": 8 * (users * nnz // m),
            "encoder, accumulators and decoder": 4 * n * (3 * k + 2) + 4 * 8 * (k + 1) ** 2,
        }
        peak = max(embedding, prediction, key=lambda parts: sum(parts.values()))
        score_users, score_items = tile_shape(HOST_SCORES, m, n)
        tiles = {
            "users in a fit tile": users,
            "users in a score tile": score_users,
            "items in a score tile": score_items,
        }
        device = self._always_on_device(m, n, nnz) | {
            "embedding target": 4 * nnz,
            "blocks of the subspace iteration": n * width * (3 * 4 + 8),
            "hidden units of a tile of users": 4 * min(m, 8 * _exact.tile_users(k + 1, m, nnz)) * (k + 1),
            "a product in double precision": min(DEVICE_DOUBLE, 8 * max(m, n) * (k + 1)),
            "encoder, accumulators and decoder": 4 * n * (3 * k + 2),
        }
        return Plan(type(self).__name__, (m, n), nnz, always | peak, tiles, device)

    def _always_on_device(self, m: int, n: int, nnz: int) -> dict[str, int]:
        """Return the parts of every plan for a GPU."""
        users, items = tile_shape(DEVICE_SCORES, m, n)
        return device_parts(m, n, nnz, 4 * users * items)

    def _always(self, m: int, n: int) -> dict[str, int]:
        """Return the parts of every plan."""
        threads = resolve_num_threads(self.num_threads)
        return {
            "row pointers": 8 * (m + 1),
            "packed columns of the threads": threads * 2 * PANEL_BYTES * n,
            "buffers of BLAS and of the threads": threads * THREAD_BYTES,
        }
