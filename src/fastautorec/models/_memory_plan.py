"""Predicted memory of a fit, before it is started."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from fastautorec._compute import resolve_num_threads
from fastautorec._compute.item_index import coded_bytes, kept_bytes
from fastautorec._compute.protocol import DEVICE_SCORES, HOST_SCORES
from fastautorec._compute.top_lists import tile_shape
from fastautorec._printed import html_table, html_text
from fastautorec._training import closed_form as _exact
from fastautorec._training.epochs import Options
from fastautorec._training.fit import BATCH_SIZE, Objective
from fastautorec._training.path_search import ALL_JUDGES as JUDGES
from fastautorec._training.subspace import OVERSAMPLING

DEVICE_ENTRY = 56  # bytes of an interaction that is being indexed by item on a GPU
DEVICE_INDEXED = 1 << 24  # interactions that are indexed together at most
DEVICE_DOUBLE = 128 << 20  # bytes of a buffer for products in double precision
PANEL_BYTES = 128  # bytes for each item of a packed panel of columns in the native core
THREAD_BYTES = 16 << 20  # measured
PROCESS_BYTES = 100 << 20  # of a process that has fitted nothing yet, measured
PROCESS = "Python and its libraries"
MEMORY = Path("/proc/meminfo")


@dataclass(frozen=True)
class Plan:
    """Predicted peak memory and tile sizes of a fit.

    ``peak_bytes`` is what the fit adds to the process that calls it. ``process_bytes`` is that with Python and its
    libraries, to be compared with the peak of a process as `fastautorec.distributed.plan` has it. The data themselves
    are in neither: their size is known, and on disk they take no memory.

    Attributes
    ----------
    model : str
    shape : (int, int)
        Users and items.
    nnz : int
        Interactions.
    parts : dict of str to int
        Bytes by purpose that exist at the same time at the peak, with the ids of the caller's Interactions.
    tiles : dict of str to int
        Sizes of the pieces of work, for example users in a tile.
    device_parts : dict of str to int
        The same for the memory of a GPU with ``device="cuda"``. Interactions that do not fit beside the rest stay in
        host memory and come over in blocks, and tiles that do not fit are halved.
    later : dict of str to int
        Bytes that a fitted model takes later, once it has answered often enough: not at the peak of the fit.

    Examples
    --------
    >>> import fastautorec as far
    >>> plan = far.NCEAutoRec().plan((138_362, 22_884, 6_100_000))
    >>> plan.peak_bytes < 1 << 30
    True
    """

    model: str
    shape: tuple[int, int]
    nnz: int
    parts: dict[str, int]
    tiles: dict[str, int] = field(default_factory=dict)
    device_parts: dict[str, int] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)

    def with_ids(self, size: int) -> Plan:
        """Return the same plan with the bytes of ids."""
        return replace(self, parts={**self.parts, "ids of users and items": size}) if size else self

    def with_sums(self, width: int) -> Plan:
        """Return the same plan with the sums that an updatable model keeps for so many columns, if any."""
        sums = {"sums for exact updates": 4 * self.shape[1] * width + 2 * 8 * width * width}
        return replace(self, parts=self.parts | sums) if width else self

    @property
    def peak_bytes(self) -> int:
        """Predicted peak of what the fit adds to the process, bytes."""
        return sum(self.parts.values())

    @property
    def process_bytes(self) -> int:
        """Predicted peak of the process without the data, bytes."""
        return PROCESS_BYTES + self.peak_bytes

    @property
    def device_bytes(self) -> int:
        """Predicted peak on a GPU, bytes."""
        return sum(self.device_parts.values())

    def _title(self) -> str:
        m, n = self.shape
        return f"{self.model}: {m:,} users × {n:,} items, {self.nnz:,} interactions"

    def _peaks(self) -> dict[str, int]:
        return {"predicted peak": self.peak_bytes, f"with {PROCESS}": self.process_bytes}

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        rows = [["", "MB"], *([name, f"{size / 1e6:,.1f}"] for name, size in self.parts.items())]
        rows += [[name, f"{size / 1e6:,.1f}"] for name, size in self._peaks().items()]
        rows += [[f"later: {name}", f"{size / 1e6:,.1f}"] for name, size in self.later.items()]
        shown = html_text(self._title()) + html_table(rows)
        if self.tiles:
            shown += html_table([["tile", "size"], *([name, f"{size:,}"] for name, size in self.tiles.items())])
        if self.device_parts:
            rows = [["on a GPU", "MB"], *([name, f"{size / 1e6:,.1f}"] for name, size in self.device_parts.items())]
            shown += html_table([*rows, ["predicted peak", f"{self.device_bytes / 1e6:,.1f}"]])
        return shown

    def __str__(self) -> str:
        """Return a table of the parts."""
        rows = [self._title()]
        rows += [f"  {name:<40}{size / 1e6:12,.1f} MB" for name, size in self.parts.items()]
        rows += [f"  {name:<40}{size / 1e6:12,.1f} MB" for name, size in self._peaks().items()]
        rows += [f"  {'later: ' + name:<40}{size / 1e6:12,.1f} MB" for name, size in self.later.items()]
        rows += [f"  {name:<40}{size:12,}" for name, size in self.tiles.items()]
        if self.device_parts:
            rows += ["on a GPU (device='cuda')"]
            rows += [f"  {name:<40}{size / 1e6:12,.1f} MB" for name, size in self.device_parts.items()]
            rows += [f"  {'predicted peak':<40}{self.device_bytes / 1e6:12,.1f} MB"]
        return "\n".join(rows)


def require_memory(plan: Plan) -> None:
    """Raise MemoryError where a fit is predicted to need more memory than there is, as far as the system tells."""
    free = available_bytes()
    if free is not None and plan.peak_bytes > free:
        m, n = plan.shape
        raise MemoryError(
            f"{plan.model} needs some {plan.peak_bytes / 1e9:,.1f} GB for {m:,} users and {n:,} items, and "
            f"{free / 1e9:,.1f} GB are free; plan() shows for what. NCEAutoRec needs less"
        )


def available_bytes() -> int | None:
    """Return the memory that the system has to give, or None where it does not tell (only Linux does)."""
    try:
        lines = MEMORY.read_text("ascii").splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return sizes[0] if sizes else None


def device_parts(m: int, n: int, nnz: int) -> dict[str, int]:
    """Return what every model needs on a GPU."""
    users, items = tile_shape(DEVICE_SCORES, m, n)
    return {
        "interactions": 8 * (m + 1) + 4 * nnz,
        "index by item of a tile": DEVICE_ENTRY * min(nnz, DEVICE_INDEXED),
        "scores of a tile": 4 * users * items,
    }


def host_parts(m: int, n: int, num_threads: int | None) -> dict[str, int]:
    """Return what every model with an encoder needs."""
    threads = resolve_num_threads(num_threads)
    return {
        "row pointers": 8 * (m + 1),
        "packed columns of the threads": threads * 2 * PANEL_BYTES * n,
        "buffers of BLAS and of the threads": threads * THREAD_BYTES,
    }


def plan_of_exact(title: str, k: int, num_threads: int | None, m: int, n: int, nnz: int) -> Plan:
    """Return the plan of the exact solutions of a model with k hidden units."""
    width = min(k + OVERSAMPLING, n)
    users = min(m, _exact.tile_users(k + 1, m, nnz))
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
    device = device_parts(m, n, nnz) | {
        "embedding target": 4 * nnz,
        "blocks of the subspace iteration": n * width * (3 * 4 + 8),
        "hidden units of a tile of users": 4 * min(m, 8 * _exact.tile_users(k + 1, m, nnz)) * (k + 1),
        "a product in double precision": min(DEVICE_DOUBLE, 8 * max(m, n) * (k + 1)),
        "encoder, accumulators and decoder": 4 * n * (3 * k + 2),
    }
    codes = {
        "unit vectors, for similar items": kept_bytes(n, k),
        "codes of items, for lists": coded_bytes(n, k + 1),
    }
    return Plan(title, (m, n), nnz, host_parts(m, n, num_threads) | peak, tiles, device, codes)


def plan_of_path(title: str, k: int, num_threads: int | None, m: int, n: int, nnz: int) -> Plan:
    """Return the plan of the exact solutions of all settings up to k factors, which beside the sums are small.

    A part of the interactions is held out; judges' scores need their hidden units twice, or the decoder.
    """
    exact = plan_of_exact(title, k, num_threads, m, n, nnz)
    judges = min(m, JUDGES)
    parts = {
        "training and held-out part": 4 * nnz + 16 * (m + 1),
        "singular vectors and sums": 4 * n * (2 * k + 1),
        "sums and linear system of a setting": 28 * (k + 1) ** 2,
        "hidden units of the judges, or their decoder": 4 * (k + 1) * (2 * judges + min(n, judges)),
    }
    split, host = {"training and held-out part": parts["training and held-out part"]}, host_parts(m, n, num_threads)
    largest = max({**exact.parts, **split}, {**host, **parts}, key=lambda sizes: sum(sizes.values()))
    device = exact.device_parts | {"singular vectors and sums": parts["singular vectors and sums"]}
    return replace(exact, parts=largest, device_parts=device)


def plan_of_training(
    title: str, objective: Objective, options: Options, num_threads: int | None, m: int, n: int, nnz: int
) -> Plan:
    """Return the plan of the exact solutions or, where it needs more, of training."""
    exact = plan_of_exact(title, options.factors, num_threads, m, n, nnz)
    if not any(options.epochs):
        return exact
    width = options.factors + (options.intercept is not None)
    weights = 4 * n * (options.factors + len(objective.losses) * width)
    batch = min(options.batch_size or BATCH_SIZE, m)
    parts = host_parts(m, n, num_threads) | {
        "weights and their copy in the fitted model": 2 * weights,
        "moments of the optimiser": {"sgd": 0}.get(options.optimizer, 2) * weights,
        "the best weights so far": weights,
        "hidden units of a batch and their gradients": 2 * 4 * batch * width,
    }
    device = device_parts(m, n, nnz) | {
        "weights, their moments, the best and the fitted ones": 5 * weights,
        "gradients of a step": 4 * n * width,
    }
    if options.init == "svd":
        parts = max(parts, exact.parts, key=lambda sizes: sum(sizes.values()))
        device = max(device, exact.device_parts, key=lambda sizes: sum(sizes.values()))
    return replace(exact, parts=parts, tiles=exact.tiles | {"users in a batch": batch}, device_parts=device)
