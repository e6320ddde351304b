"""Predicted memory of a fit, before it is started."""

from __future__ import annotations

from dataclasses import dataclass, field


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
        Bytes by purpose that exist at the same time at the peak, the caller's own matrix not included.
    tiles : dict of str to int
        Sizes of the pieces of work, for example users in a tile.

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

    @property
    def peak_bytes(self) -> int:
        """Predicted peak, bytes."""
        return sum(self.parts.values())

    def __str__(self) -> str:
        """Return a table of the parts."""
        m, n = self.shape
        rows = [f"{self.model}: {m:,} users × {n:,} items, {self.nnz:,} interactions"]
        rows += [f"  {name:<40}{size / 1e6:12,.1f} MB" for name, size in self.parts.items()]
        rows += [f"  {'predicted peak':<40}{self.peak_bytes / 1e6:12,.1f} MB"]
        rows += [f"  {name:<40}{size:12,}" for name, size in self.tiles.items()]
        return "\n".join(rows)
