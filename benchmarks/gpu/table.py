"""The one table of all results."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.report import duration, table, verdict

COLUMNS = ("", "median", "floor", "× floor", "peer", "× ours", "target", "remarks")


@dataclass(frozen=True)
class Row:
    """A result.

    Attributes
    ----------
    section, name : str
    seconds : float or None
        Median; None where there is nothing to time.
    floor : float or None
        Seconds below which it cannot get.
    peer : float or None
        Seconds of the peer in the same run.
    at_most : float or None
        Target in seconds.
    at_least : float or None
        Target in times faster than the peer.
    remarks : str
    """

    section: str
    name: str
    seconds: float | None = None
    floor: float | None = None
    peer: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    remarks: str = ""


def markdown(machine: dict[str, str], rows: list[Row]) -> str:
    """Return the machine and all rows as one table, a bold line before each section."""
    body: list[tuple[object, ...]] = [_bold("Machine")]
    body += [(what, *[""] * (len(COLUMNS) - 2), said) for what, said in machine.items()]
    for section in dict.fromkeys(row.section for row in rows):
        body += [_bold(section), *(_cells(row) for row in rows if row.section == section)]
    return table(COLUMNS, body)


def _bold(section: str) -> tuple[str, ...]:
    return (f"**{section}**", *[""] * (len(COLUMNS) - 1))


def _cells(row: Row) -> tuple[str, ...]:
    seconds = row.seconds
    return (
        row.name,
        _duration(seconds),
        _duration(row.floor),
        _times(seconds, row.floor),
        _duration(row.peer),
        _times(row.peer, seconds),
        _target(row),
        row.remarks,
    )


def _target(row: Row) -> str:
    said = []
    if row.at_most is not None and row.seconds is not None:
        said.append(f"≤ {duration(row.at_most)}, {verdict(row.seconds <= row.at_most)}")
    if row.at_least is not None and row.seconds is not None and row.peer is not None:
        said.append(f"{row.at_least:g}×, {verdict(row.peer >= row.at_least * row.seconds)}")
    return "; ".join(said)


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def _times(seconds: float | None, base: float | None) -> str:
    return "" if seconds is None or not base else f"{seconds / base:.1f}×"
