"""What a backend can do. Every operation has the same name here, in the reference, in C++, in CUDA and in the tests."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._compute.csr import Csr
from fastautorec._compute.sampling import Sampler

if TYPE_CHECKING:
    from fastautorec._compute.parameter import Parameter

FloatArray = npt.NDArray[np.float32]
IdArray = npt.NDArray[np.int32]

ACTIVATIONS = ("identity", "relu", "tanh", "sigmoid")
NUMERATORS = ("users", "interactions")
DEFINITIONS = ("standard", "paper")
OUTPUTS = ("sigmoid", "logsigmoid", "tanh", "identity")
PLANS = ("auto", "gram", "tiles", "sparse")


class Inputs(Protocol):
    """Checks of what users pass; the result stays in the memory where it was given.

    The functions of these names in `fastautorec._compute.inputs` say what is checked.
    """

    def on_device(self, given: Any) -> bool:
        """Return whether something is in the memory of a device, so that results belong there too."""

    def check_place(self, name: str, given: Any) -> None:
        """Raise for a sparse matrix of the host where other arguments of the same call are on a device."""

    def user_items(self, name: str, given: Any, n_items: int | None = None, *, fitting: bool = False) -> Csr: ...

    def values(self, name: str, given: Any) -> Csr: ...

    def counts(self, name: str, given: Any) -> tuple[Csr, IdArray]: ...

    def dense(
        self, name: str, given: Any, shape: tuple[int | None, ...], rule: str, *, finite: bool = True
    ) -> FloatArray: ...

    def ranking(self, name: str, given: Any, n_rows: int, n_items: int) -> IdArray: ...


class ScoreTiles(NamedTuple):
    """Limits of a tile of scores: bytes, items and users."""

    size: int
    items: int
    users: int


HOST_SCORES = ScoreTiles(size=4 << 20, items=1 << 12, users=256)  # near the full speed of BLAS
DEVICE_SCORES = ScoreTiles(size=256 << 20, items=1 << 17, users=4096)


class Arrays(Protocol):
    """Memory and dense arithmetic of a device: what the layers above need beside the operations.

    Arrays of a device understand operators and NumPy's functions; small (k, k) problems are solved on the host.
    """

    name: str
    num_threads: int

    @property
    def inputs(self) -> Inputs:
        """What takes user input."""

    @property
    def score_tiles(self) -> ScoreTiles:
        """Limits of a tile of scores."""

    @property
    def tile_factor(self) -> int:
        """Factor by which tiles of users are longer than on a CPU."""

    @property
    def scans_codes(self) -> bool:
        """Whether lists of fitted models may come from an `ItemIndex`."""

    @property
    def out_of_memory(self) -> tuple[type[Exception], ...]:
        """Exceptions after which smaller tiles are tried."""

    def with_threads(self, num_threads: int) -> Backend:
        """Return the same backend with another number of threads."""

    @property
    def host(self) -> HostBackend:
        """A backend for work on the host; a backend of the host returns itself."""

    def active(self) -> AbstractContextManager[Any]:
        """Return a context in which the backend may be used: the device is the current one."""

    def halved(self, tile: int) -> int:
        """Return half of a tile that memory did not hold, and say so once; raise MemoryError below one row."""

    def put(self, matrix: Csr) -> Csr:
        """Return a matrix in the memory that the operations read."""

    def give(self, matrix: Csr) -> sparse.csr_matrix:
        """Return a matrix as users know it, SciPy's or that of the device; its ids are its own."""

    def new(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an uninitialised array."""

    def empty(self, rows: int, columns: int) -> FloatArray:
        """Return an uninitialised float32 matrix."""

    def zeros(self, rows: int, columns: int) -> FloatArray:
        """Return a float32 matrix of zeros whose rows start at cache lines."""

    def to_device(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a NumPy array as an array of the device."""

    def to_host(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an array of the device as a NumPy array."""

    def matmul(self, a: FloatArray, b: npt.NDArray[Any], out: FloatArray) -> FloatArray:
        """Write ``a @ b`` to ``out``; in double precision where b is of it. A NumPy b goes to the device first."""

    def scaled_top_items(
        self,
        scores: FloatArray,
        factors: FloatArray,
        n_top: int,
        exclude: Csr | None,
        first_item: int,
        best: tuple[IdArray, FloatArray] | None,
    ) -> tuple[IdArray, FloatArray] | None:
        """Return what ``top_items`` would for the scores (q, w) times each row of factors (g, w), as (g q, n_top).

        No factor is negative. Lists of all users by the first row come first. None where there is no kernel that reads
        the scores once.
        """

    def cross_product(
        self, a: npt.NDArray[Any], b: npt.NDArray[Any], symmetric: bool = False
    ) -> npt.NDArray[np.float64]:
        """Return aᵀb (k, l), summed in double precision, as a NumPy array.

        ``symmetric`` says that it is, but for rounding: then half of it may be computed.
        """

    def activation_backward(self, hidden: FloatArray, grad: FloatArray, activation: str) -> FloatArray:
        """Multiply ``grad`` by act′ at the points of activations ``hidden``, and return its column sums (1, k)."""

    def add_up(self, losses: list[Any]) -> float:
        """Return the sum of losses that operations returned."""

    def sum_of_squares(self, matrix: FloatArray) -> float:
        """Return Σ x², summed in double precision."""


class Backend(Arrays, Protocol):
    """Operations on checked input: canonical Csr, float32 C-ordered matrices (rows may be strided), int32 ids.

    A loss is a float; on a device it is an array of one value, and ``float(loss)`` waits for it.
    """

    def count_items(self, user_items: Csr) -> npt.NDArray[np.int64]:
        """Return pop (n,), the number of users of each item."""

    def nce_transform(self, user_items: Csr, beta: float, numerator: str) -> Csr:
        """Return R* on the pattern of R: max(log P - beta log pop_j, 0), P by ``numerator`` (Eq. 16)."""

    def encode(
        self,
        user_items: Csr,
        weight: FloatArray,
        bias: FloatArray | None = None,
        activation: str = "identity",
        out: FloatArray | None = None,
    ) -> FloatArray:
        """Return act(X W + b), (q, k)."""

    def encode_backward(
        self,
        user_items: Csr,
        grad: FloatArray,
        out: FloatArray | None = None,
        parameter: Parameter | None = None,
    ) -> FloatArray:
        """Return X^T grad, (n, k), added to ``out`` where given; or step ``parameter`` by it and return its value."""

    def gram_product(
        self, user_items: Csr, block: FloatArray, item_weights: FloatArray | None = None, user_power: float = 0.0
    ) -> FloatArray:
        """Return T^T (T block), (n, k).

        T is X without ``item_weights``, and ``X.weighted(item_weights, user_power)`` with them: then the values of X do
        not count.
        """

    def drop_entries(self, user_items: Csr, rate: float, seed: int, epoch: int) -> Csr:
        """Return X with entries set to 0 with probability ``rate``, the others divided by 1 - rate."""

    def mse_head(
        self,
        hidden: FloatArray,
        decoder: Parameter,
        target: Csr,
        scale: float = 1.0,
        grad_hidden: FloatArray | None = None,
        plan: str = "auto",
    ) -> float:
        """Return Σ_i ‖t_i − D h_i‖² over all items, for D = ``decoder.value`` (n, k) and rows h_i of ``hidden`` (q, k).

        Adds ``scale`` times its gradient to ``grad_hidden`` and steps ``decoder`` by ``scale`` times its gradient.
        ``plan``: "gram" never forms scores, "tiles" forms them in tiles, "auto" takes the cheaper one (Eq. 8 and 17).
        """

    def ns_head(
        self,
        hidden: FloatArray,
        decoder: Parameter,
        positives: Csr,
        negatives: Csr,
        counts: IdArray,
        out: str = "sigmoid",
        scale: float = 1.0,
        grad_hidden: FloatArray | None = None,
        plan: str = "auto",
    ) -> float:
        """Return −Σ_i [r_i·o_i − (‖r_i‖₁/‖s_i‖₁) s_i·o_i] for scores z_i = D h_i and o = out(z) (Eq. 7).

        With ``out="logsigmoid"`` positives count log σ(z) and negatives −log σ(−z) in place of o (Eq. 3). R is binary
        (``positives``), S has the ``counts`` of the pattern ``negatives``. Gradients as in ``mse_head``. ``plan``:
        "sparse" visits R and S only, "tiles" forms scores of all items in tiles, "auto" takes the cheaper one.
        """

    def optimizer_step(self, parameter: Parameter, grad: FloatArray) -> None:
        """Change ``parameter`` by its rule for the gradient ``grad`` of its shape."""

    def sample_negatives(
        self, sampler: Sampler, users: npt.NDArray[np.int64], exclude: Csr | None, seed: int, epoch: int
    ) -> tuple[Csr, IdArray]:
        """Return the pattern S (q, n) of items drawn for ``users``, and the count of each entry (Eq. 6).

        Row i of ``exclude`` (q, n) holds what user i must not get. `fastautorec._compute.sampling` says what is
        drawn, bit by bit; the counts of a row add up to N.
        """

    def top_items(
        self,
        scores: FloatArray,
        n_top: int,
        exclude: Csr | None = None,
        first_item: int = 0,
        best: tuple[IdArray, FloatArray] | None = None,
    ) -> tuple[IdArray, FloatArray]:
        """Return ids and scores (q, n_top) of the best items of a tile, merged into ``best`` of the earlier tiles.

        The tile holds items ``first_item`` onwards. Descending score, then ascending id; -1 and NaN fill free places.
        NaN and minus infinity are never listed.
        """

    def ranking_metrics(
        self, item_ids: IdArray, test: Csr, cutoffs: tuple[int, ...], definition: str
    ) -> npt.NDArray[np.float64]:
        """Return one column for each of ``metric_names``, one row for each user; NaN rows without test items."""


class HostBackend(Backend, Protocol):
    """Operations of the host only: lists are evaluated there, whatever device made them."""

    def find_ranks(
        self, item_ids: IdArray, test: Csr, lengths: IdArray, starts: npt.NDArray[np.int64], out: IdArray
    ) -> None:
        """Write the rank, from 1, of each test item in the first ``lengths`` (q,) places of its user's list to ``out``.

        Those of row i go to ``out[starts[i]]`` onwards, in the order of ``test``; 0 is for an item that is not there. A
        repeated id counts at its first place.
        """
