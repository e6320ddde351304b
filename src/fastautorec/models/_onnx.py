"""The ONNX graph of a model: padded histories in, lists of the best items out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._extras import require
from fastautorec._training.closed_form import Encoder
from fastautorec._version import __version__
from fastautorec.data._naming import names_of
from fastautorec.models._answers import Answering
from fastautorec.models._layers import Layers

OPSET, IR_VERSION = 17, 8  # old enough for onnxruntime 1.15
LARGEST = (1 << 31) - (1 << 20)  # bytes of a file of protobuf
BATCH = 64  # histories that are checked at a time
CHECKED = 200  # histories that are drawn
LONGEST = 64  # items of one of these
TOLERANCE = 1e-5  # of the largest score of a list
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}

Lists = tuple[IdArray, FloatArray]


class Graph:
    """Nodes and constants of a graph, in the order in which they are added."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Any, dtype: npt.DTypeLike) -> str:
        """Add an array and return its name."""
        self.constants.append(self._onnx.numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add_scan(self, start: str, pairs: str, to: str) -> None:
        """Add the loop over ``pairs`` (batch, steps, chains) that adds ``rows`` to ``start`` (batch, chains, width)."""
        helper, types = self._onnx.helper, self._onnx.TensorProto
        body = helper.make_graph(
            [
                helper.make_node("Gather", ["rows", "pair_of_items"], ["pair_of_rows"], axis=0),
                helper.make_node("Add", ["sums_so_far", "pair_of_rows"], ["sums_then"]),
            ],
            "add_rows",
            [
                helper.make_tensor_value_info("sums_so_far", types.FLOAT, None),
                helper.make_tensor_value_info("pair_of_items", types.INT64, None),
            ],
            [helper.make_tensor_value_info("sums_then", types.FLOAT, None)],
        )
        self.add("Scan", start, pairs, to=to, body=body, num_scan_inputs=1, scan_input_axes=[1])

    def add(self, kind: str, *inputs: str, to: str, also: tuple[str, ...] = (), **attributes: Any) -> str:
        """Add a node and return the name of its first output."""
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [to, *also], **attributes))
        return to


def graph_of(model: Answering, layers: Layers, factors: FloatArray | None, n_top: int, known_left_out: bool) -> bytes:
    """Return the file of a fitted model; where there are factors (n,), the scores of its items are multiplied by them.

    A history becomes a row of zeros and ones, in which an item that is named twice counts once, as in `recommend`.
    """
    onnx = require("onnx", "to_onnx", "onnx")
    n = layers.last.shape[1]
    size = layers.last.nbytes + (0 if layers.encoder is None else layers.encoder.weight.nbytes)
    if size > LARGEST:
        raise ValueError(
            f"an ONNX file holds at most 2 GiB, and the arrays of this {type(model).__name__} take {size / 2**30:.1f} "
            "GiB; fit a model with fewer `factors`, or one that has some where this one has an item-item matrix"
        )
    graph = Graph(onnx)
    seen = _multi_hot(graph, n)
    if layers.encoder is None:
        scores = _sums(graph, layers.last, layers.chains)
    else:
        units = _units(graph, layers.encoder, seen)
        scores = graph.add("MatMul", units, graph.constant("last", layers.last, np.float32), to="raw")
    if factors is not None:
        scores = graph.add("Mul", scores, graph.constant("factors", factors, np.float32), to="discounted")
    minus = graph.constant("minus_infinity", -np.inf, np.float32)
    if known_left_out:
        graph.add("Greater", seen, "zero", to="known")

    def masked(scores: str) -> str:
        return graph.add("Where", "known", minus, scores, to=f"masked_{scores}") if known_left_out else scores

    if model.item_counts_ is not None:
        scores = _with_popularity(graph, model, seen, scores, masked(scores))
    graph.constant("length_of_lists", [n_top], np.int64)
    graph.add("TopK", masked(scores), "length_of_lists", to="best", also=("places",), axis=1)
    graph.add("IsInf", "best", to="none")
    graph.add("Where", "none", graph.constant("no_item", -1, np.int64), "places", to="ids")
    graph.add("Where", "none", graph.constant("not_a_number", np.nan, np.float32), "best", to="scores")
    return _file(onnx, graph, model, n_top)


def _multi_hot(graph: Graph, n: int) -> str:
    """Add what turns padded lists into rows of zeros and ones, and return the name of these (batch, n).

    Whatever is no number of an item goes to a column behind the last one, which is cut off.
    """
    graph.constant("zero", 0, np.float32)
    graph.constant("first_axis", [0], np.int64)
    graph.constant("one_more", [1], np.int64)
    behind = graph.constant("behind", n, np.int64)
    graph.add("GreaterOrEqual", "history", graph.constant("first_item", 0, np.int64), to="not_below")
    graph.add("Less", "history", behind, to="not_above")
    graph.add("And", "not_below", "not_above", to="is_item")
    graph.add("Where", "is_item", "history", behind, to="columns")
    graph.add("Shape", "history", to="shape")
    graph.add("Slice", "shape", "first_axis", "one_more", to="batch")
    graph.add("Concat", "batch", graph.constant("width", [n + 1], np.int64), to="wide_shape", axis=0)
    graph.add("Expand", "zero", "wide_shape", to="zeros")
    graph.add("Expand", graph.constant("one", 1, np.float32), "shape", to="ones")
    graph.add("ScatterElements", "zeros", "columns", "ones", to="wide", axis=1)
    return graph.add("Slice", "wide", "first_axis", graph.constant("n", [n], np.int64), "one_more", to="seen")


def _sums(graph: Graph, rows: FloatArray, chains: int) -> str:
    """Add the sums of the rows (n, width) of each history's items, and return their name.

    Items are taken by ascending number. With two chains, those in even places and those in odd ones are added up
    apart, and then both sums: the order of the model itself, so that the result has its bits.
    """
    graph.constant("rows", np.vstack([rows, np.zeros_like(rows[:1])]), np.float32)  # the last one stands for no item
    graph.constant("last_axis", [-1], np.int64)
    graph.constant("first", [0], np.int64)
    graph.constant("to_the_end", [np.iinfo(np.int64).max], np.int64)
    graph.constant("two", [2], np.int64)
    graph.add("Expand", "behind", graph.add("Concat", "batch", "two", to="pair_shape", axis=0), to="pair")
    graph.add("Concat", "columns", "pair", to="with_pair", axis=1)  # so that every list has a pair
    graph.add("Slice", graph.add("Shape", "with_pair", to="pair_counted"), "one_more", "two", to="length_with_pair")
    ascending = {"axis": 1, "largest": 0, "sorted": 1}
    graph.add("TopK", "with_pair", "length_with_pair", to="in_order", also=("order",), **ascending)
    graph.add("Slice", "in_order", "first", "last_axis", "one_more", to="before")
    graph.add("Slice", "in_order", "one_more", "to_the_end", "one_more", to="after")
    graph.add("Where", graph.add("Equal", "before", "after", to="again"), "behind", "after", to="once")
    graph.add("Slice", "in_order", "first", "one_more", "one_more", to="start")
    graph.add("Concat", "start", "once", to="with_gaps", axis=1)
    graph.add("TopK", "with_gaps", "length_with_pair", to="distinct", also=("order_of_distinct",), **ascending)
    graph.add("Mul", graph.add("Div", "length_with_pair", "two", to="n_pairs"), "two", to="even_length")
    graph.add("Slice", "distinct", "first", "even_length", "one_more", to="even")
    graph.add("Div", "even_length", graph.constant("chains", [chains], np.int64), to="steps")
    graph.add("Concat", "batch", "steps", "chains", to="pairs_shape", axis=0)  # -1 has no meaning for an empty batch
    graph.add("Reshape", "even", "pairs_shape", to="pairs", allowzero=1)
    width = graph.constant("sums_width", [chains, rows.shape[1]], np.int64)
    graph.add("Expand", "zero", graph.add("Concat", "batch", width, to="sums_shape", axis=0), to="no_sums")
    graph.add_scan("no_sums", "pairs", to="two_sums")
    return graph.add("ReduceSum", "two_sums", "one_more", to="sums", keepdims=0)


def _units(graph: Graph, encoder: Encoder, seen: str) -> str:
    """Add the encoder and return the name of what the last layer multiplies."""
    graph.add("ReduceSum", seen, "one_more", to="count", keepdims=1)
    graph.add("Max", "count", "one", to="length")
    graph.add("Sqrt", "length", to="root")
    parts = []
    if encoder.weight.shape[1]:
        name = graph.add("MatMul", seen, graph.constant("weight", encoder.weight, np.float32), to="sums")
        if encoder.normalize:
            name = graph.add("Div", name, "root", to="normalized")
        if encoder.bias is not None:
            name = graph.add("Add", name, graph.constant("bias", encoder.bias, np.float32), to="shifted")
        if encoder.activation != "identity":
            name = graph.add(ACTIVATIONS[encoder.activation], name, to="hidden")
        parts.append(name)
    if encoder.intercept is not None:
        parts.append(graph.add("Div", "one" if encoder.intercept == "history" else "root", "root", to="intercept"))
    return graph.add("Concat", *parts, to="units", axis=1)


def _with_popularity(graph: Graph, model: Answering, seen: str, scores: str, masked: str) -> str:
    """Add the answer to histories that say nothing to the model, as in `strangers`, and return the name of scores."""
    counts = model.item_counts_
    assert counts is not None
    shares = (counts / max(model.n_users_, 1)).astype(np.float32)
    graph.add("MatMul", seen, graph.constant("had_users", (counts > 0)[:, None], np.float32), to="known_items")
    graph.add("ReduceMax", masked, to="largest", axes=[1], keepdims=1)
    graph.add("Equal", "known_items", "zero", to="says_nothing")
    graph.add("Equal", "largest", "zero", to="has_nothing")
    graph.add("And", "says_nothing", "has_nothing", to="stranger")
    return graph.add("Where", "stranger", graph.constant("popularity", shares[None], np.float32), scores, to="answers")


def _file(onnx: Any, graph: Graph, model: Answering, n_top: int) -> bytes:
    helper, types = onnx.helper, onnx.TensorProto
    built = helper.make_graph(
        graph.nodes,
        type(model).__name__,
        [helper.make_tensor_value_info("history", types.INT64, ["batch", "length"])],
        [
            helper.make_tensor_value_info("ids", types.INT64, ["batch", n_top]),
            helper.make_tensor_value_info("scores", types.FLOAT, ["batch", n_top]),
        ],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    file = helper.make_model(built, opset_imports=opsets, ir_version=IR_VERSION, producer_name="fastautorec")
    names = names_of(model.item_ids_, model.n_items_, np.arange(model.n_items_)).tolist()
    helper.set_model_props(file, {"model": repr(model), "version": __version__, "item_names": json.dumps(names)})
    content: bytes = file.SerializeToString()
    return content


# --- the check --------------------------------------------------------------------------------------------------------


def lists_by_onnx(content: bytes, backend: Backend, history: Csr) -> Lists:
    """Return the lists that onnxruntime makes of a file."""
    runtime = require("onnxruntime", "to_onnx", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = backend.host.num_threads
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    total = history.shape[0]
    blocks = (history.rows(start, min(start + BATCH, total)) for start in range(0, total, BATCH))
    parts = [session.run(["ids", "scores"], {"history": padded_lists(block)}) for block in blocks]
    ids, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return ids.astype(np.int32), scores


def padded_lists(history: Csr) -> npt.NDArray[np.int64]:
    """Return histories as lists of one length, with -1 behind the end of each, (q, length)."""
    lengths = history.row_lengths()
    lists = np.full((len(lengths), int(lengths.max(initial=0))), -1, np.int64)
    lists[np.arange(lists.shape[1]) < lengths[:, None]] = history.rebased().indices
    return lists


def drawn_histories(model: Answering) -> Csr:
    """Return histories of all lengths for a check: the same ones each time, popular items more often, one empty."""
    rng, n = np.random.default_rng(0), model.n_items_
    weights = np.ones(n) if model.item_counts_ is None else model.item_counts_ + 0.1
    lengths = np.concatenate(([0], rng.integers(1, min(LONGEST, n) + 1, CHECKED - 1)))
    rows = [np.unique(rng.choice(n, length, p=weights / weights.sum())) for length in lengths]
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    return Csr(indptr, np.concatenate(rows).astype(np.int32), None, n)


def require_same_lists(own: Lists, other: Lists) -> None:
    """Raise RuntimeError unless scores are the same to rounding, and ids where rounding does not change the order."""
    (ids, scores), (found, values) = own, other
    empty = ids < 0
    scores, values = np.where(empty, 0, scores), np.where(found < 0, 0, values)
    slack = TOLERANCE * np.abs(scores).max(axis=1, keepdims=True)
    there = found[:, :, None] == ids[:, None, :]
    # An item that is not in the other list at all can only have changed places with its last one.
    places = np.where(there.any(axis=2), there.argmax(axis=2), ids.shape[1] - 1)
    stayed = np.abs(np.take_along_axis(scores, places, axis=1) - values) <= slack  # NaN is no score
    wrong = ~((np.abs(scores - values) <= slack) & stayed & (empty == (found < 0)))
    if wrong.any():
        row, place = np.argwhere(wrong)[0]
        raise RuntimeError(
            f"onnxruntime gives other lists than `recommend`: item {found[row, place]} with {values[row, place]:g} in "
            f"place {place} of history {row}, where item {ids[row, place]} has {scores[row, place]:g}; nothing was "
            "written"
        )
