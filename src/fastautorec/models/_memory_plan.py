"""Predicted memory of a fit, before it is started."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

DEVICE_ENTRY = 56  # bytes of an interaction that is being indexed by item on a GPU
DEVICE_INDEXED = 1 << 24  # interactions that are indexed together at most
DEVICE_DOUBLE = 128 << 20  # bytes of a product in double precision


def device_parts(m: int, n: int, nnz: int, score_bytes: int) -> dict[str, int]:
    """Return what every model needs on a GPU."""
    return {
        "interactions": 8 * (m + 1) + 4 * nnz,
        "index by item of a tile": DEVICE_ENTRY * min(nnz, DEVICE_INDEXED),
        "scores of a tile": score_bytes,
    }


@dataclass(frozen=True)
class Plan:
    """Predicted peak memory and tile sizes of a fit.

    Attributes
    ----------
    model : str
    shape : (int, int)
        Users and items.
    nnz : int
        Interactions.
    parts : dict of str to int
        Bytes by purpose that exist at the same time at the peak: the caller's own matrix not included, the ids of the
        caller's Interactions included.
    tiles : dict of str to int
        Sizes of the pieces of work, for example users in a tile.
    device_parts : dict of str to int
        The same for the memory of a GPU with ``device="cuda"``. Interactions that do not fit beside the rest stay in
        host memory and come over in blocks, and tiles that do not fit are halved.

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

    def with_ids(self, size: int) -> Plan:
        """Return the same plan with the bytes of ids."""
        return replace(self, parts={**self.parts, "ids of users and items": size}) if size else self

    @property
    def peak_bytes(self) -> int:
        """Predicted peak, bytes."""
        return sum(self.parts.values())

    @property
    def device_bytes(self) -> int:
        """Predicted peak on a GPU, bytes."""
        return sum(self.device_parts.values())

    def __str__(self) -> str:
        """Return a table of the parts."""
        m, n = self.shape
        rows = [f"{self.model}: {m:,} users × {n:,} items, {self.nnz:,} interactions"]
        rows += [f"  {name:<40}{size / 1e6:12,.1f} MB" for name, size in self.parts.items()]
        rows += [f"  {'predicted peak':<40}{self.peak_bytes / 1e6:12,.1f} MB"]
        rows += [f"  {name:<40}{size:12,}" for name, size in self.tiles.items()]
        if self.device_parts:
            rows += ["on a GPU (device='cuda')"]
            rows += [f"  {name:<40}{size / 1e6:12,.1f} MB" for name, size in self.device_parts.items()]
            rows += [f"  {'predicted peak':<40}{self.device_bytes / 1e6:12,.1f} MB"]
        return "\n".join(rows)
