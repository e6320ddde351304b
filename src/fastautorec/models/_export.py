"""Fitted models that leave Python: `to_onnx`, `export_vectors`."""

from __future__ import annotations

from os import PathLike

import numpy as np

from fastautorec._checks import adapted, check_bool, check_int, check_path
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.top_lists import DotScorer
from fastautorec._files import replace_content
from fastautorec.models._answers import LIST_LENGTH, Answering
from fastautorec.models._layers import Layers
from fastautorec.models._onnx import drawn_histories, graph_of, lists_by_onnx, require_same_lists
from fastautorec.models._vectors import ItemVectors


class Exporting(Answering):
    """Models whose scores other programs can compute."""

    def to_onnx(
        self,
        path: str | PathLike[str],
        N: int = LIST_LENGTH,
        filter_already_liked_items: bool = True,
        popularity_discount: float | None = None,
        histories: UserItems | None = None,
    ) -> None:
        """Write the model as an ONNX graph that makes the lists of `recommend`, and check it before the file appears.

        The graph takes ``history``, int64 (batch, length): the numbers of the items that each user has, filled up with
        -1 to one length. Whatever is no number of an item counts as nothing, and an item that is named twice counts
        once. It gives ``ids``, int64 (batch, N), and ``scores``, float32 (batch, N), as `recommend`: items of the
        history are left out, -1 and NaN stand where no item is left, and a history that says nothing to the model gets
        popular items. The metadata of the file have ``item_names``, a JSON list of what items are called.

        Parameters
        ----------
        path : path
            Replaced in one step, and only once the lists of onnxruntime are those of `recommend`.
        N : int
            Length of the lists; by default 10, or all items where there are fewer.
        filter_already_liked_items, popularity_discount
            As in `recommend`, for all lists of the file.
        histories : Interactions or scipy sparse (q, n), optional
            What is checked; by default 200 histories that are drawn.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not usable, the model's scores are not those of an encoder and a last layer or of an
            item-item matrix, or its arrays take more than the 2 GiB of an ONNX file.
        ImportError
            If ``onnx`` or ``onnxruntime`` is missing; they are in the extra ``onnx``.
        RuntimeError
            If the lists differ by more than rounding: a score by more than 1e-5 of the largest one of its list, or an
            item other than by as much. Nothing is written.
        OSError
            If the file cannot be written.

        Notes
        -----
        A history becomes a row of n zeros and ones in the graph, and all its scores exist at once. A model with an
        item-item matrix takes 4 n² bytes in the file, and its scores have the bits of `recommend`.

        Examples
        --------
        >>> import fastautorec as far
        >>> model = far.NCEAutoRec(factors=64).fit(far.datasets.load_example())
        >>> model.to_onnx("model.onnx", N=10)  # doctest: +SKIP
        """
        model = self._as_fitted()
        model._require_histories()
        file = check_path("path", path)
        n_top = check_int("N", adapted(N, model.n_items_), 1, model.n_items_)
        known_left_out, backend = check_bool("filter_already_liked_items", filter_already_liked_items), model._backend()
        history = (
            drawn_histories(model) if histories is None else model._check_history(histories, "histories").to_host()
        )
        if not history.shape[0]:
            raise ValueError("`histories` must hold at least one row, got none; leave it out to have some drawn")
        with backend.active():
            factors = None
            if popularity_discount is not None:
                factors = backend.to_host(model._factors(backend, [popularity_discount])[0])
            layers = model._layers().on_host(backend)
        content = graph_of(model, layers, factors, n_top, known_left_out)
        own = model.recommend(history.to_scipy(), n_top, known_left_out, popularity_discount=popularity_discount)
        require_same_lists(own, lists_by_onnx(content, backend, history))
        replace_content(file, content)

    def export_vectors(self, popularity_discount: float | None = None) -> ItemVectors:
        """Return vectors of items, and what makes those of histories, whose inner products are the scores of `predict`.

        They are what an index of nearest neighbours by inner product needs, such as those of faiss, hnswlib or usearch.

        Parameters
        ----------
        popularity_discount : float, optional
            As in `recommend`; it is in the vectors of the items.

        Returns
        -------
        ItemVectors
            With ``items`` (n, d), ``users(history)``, recipes for indexes, and ``recall``, which tells how much of the
            lists of `recommend` an index finds.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If ``popularity_discount`` is not usable, the model cannot answer by a history alone, or it has no vectors:
            `EASE`, `DLAE`, `ItemKNN` and `RP3beta` score by an item-item matrix, for which `to_onnx` does.

        Examples
        --------
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> model = far.NCEAutoRec(factors=64).fit(packages)
        >>> vectors = model.export_vectors()
        >>> scores = vectors.users(packages.user_items[:5]) @ vectors.items.T
        >>> bool(abs(scores - model.predict(packages.user_items[:5])).max() < 1e-6)
        True
        """
        model = self._as_fitted()
        model._require_histories()
        scorer, backend = model._scorer(), model._backend()
        if not isinstance(scorer, DotScorer):
            raise ValueError(
                f"{type(model).__name__} has no vectors of items: its scores come from an item-item matrix; take "
                "`to_onnx`, or a model with factors such as NCEAutoRec"
            )
        with backend.active():
            items = np.array(backend.to_host(scorer.decoder), np.float32, order="C")
            if popularity_discount is not None:
                items *= backend.to_host(model._factors(backend, [popularity_discount])[0])[:, None]
        return ItemVectors(items, model, popularity_discount)

    def _layers(self) -> Layers:
        """Return what the scores are computed with; raise ValueError where a graph does not say it."""
        raise ValueError(
            f"{type(self).__name__} has no ONNX graph: its scores come neither from an encoder and a last layer nor "
            "from an item-item matrix; NCEAutoRec, EASE and the other models of `fastautorec.models` have one"
        )
