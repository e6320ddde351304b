"""What is known of parts that are read, and has to be alike in all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastautorec._version import __version__
from fastautorec.data import Interactions
from fastautorec.data._doubtful import are_whole, integers_but_for
from fastautorec.data._missing import require_some
from fastautorec.data._roles import ROLES, Words
from fastautorec.data._texts import is_text
from fastautorec.data._times import Seen, check_joinable, other_unit
from fastautorec.distributed._sources import Source


class Reading(NamedTuple):
    """How files are read; see `fastautorec.distributed.shard`."""

    form: str
    threshold: float | None
    words: Words


@dataclass(frozen=True)
class Facts:
    """What is known of a part that is read, and has to be the same in all of them where there is a rule for it."""

    name: str
    users: str  # "texts" or "integers"
    items: str
    has: tuple[bool, bool]  # times, weights
    kind: str | None  # of the times
    units: tuple[Any, ...]  # what `Seen` holds of them; empty without times
    times: tuple[Any, ...]  # the first and the last
    shape: tuple[int, int, int]  # users, items and interactions
    lacking: dict[str, int]  # rows that lack a value and were left out, by role, and in all
    n_whole: int  # other rows, before a threshold
    lines: tuple[str, ...]  # what it was taken for
    dataset: str  # of which it is a part; empty for a file of its own
    headings: dict[str, str]  # the column of each role
    gaps: dict[str, str]  # what was told of ids of a role that may stand for no value
    whole: tuple[bool | None, ...]  # whether the other ids of users and of items are integers; None without any
    versions: tuple[str, str]

    @classmethod
    def of(cls, source: Source, data: Interactions) -> Facts:
        users, items = ("texts" if is_text(ids) else "integers" for ids in (data.user_ids, data.item_ids))
        times = data.timestamps
        assert data._source is not None  # they were read from a file
        return cls(
            source.name,
            users,
            items,
            (times is not None, data.weights is not None),
            data._source.times,
            () if times is None else tuple(Seen.of(times)),
            () if times is None or not len(times) else (times.min().item(), times.max().item()),
            (*data.shape, data.nnz),
            dict(data._source.lacking),
            data._source.n_whole,
            tuple(data.describe().lines()),
            source.dataset,
            dict(data._source.headings),
            dict(data._source.gaps),
            (are_whole(data.user_ids), are_whole(data.item_ids)),
            (__version__, np.__version__),
        )

    @classmethod
    def stored(cls, path: Path) -> Facts:
        """Return what was written of a part that is finished."""
        told: dict[str, Any] = json.loads(path.read_text("utf-8"))
        fields: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
        return cls(**fields)


def require_none(failures: Sequence[Any]) -> None:
    """Raise the first error that is among results."""
    for failure in failures:
        if isinstance(failure, Exception):
            raise failure


def require_alike(facts: list[Any], sources: list[Source], reading: Reading) -> tuple[str | None, bool]:
    """Raise ValueError where parts do not fit together; return the type of the times and whether there are weights."""
    require_none(facts)
    if len(facts) != len(sources):
        raise ValueError(f"`engine`.reduce must join what is read of {len(sources)} parts, got {len(facts)}")
    _require_some_of_each(facts, sources, reading.threshold)
    some: list[Facts] = [part for part in facts if part.shape[2]]
    if not some:
        raise ValueError(f"`files` must hold interactions, got none in {len(sources)} parts")
    first, timed = some[0], next((part for part in some if part.kind is not None), None)
    columns: dict[str, Facts] = {}
    unused = {"rating"} if reading.threshold is None else set()
    roles = [role for role in ROLES if role not in unused and not isinstance(getattr(reading.words, role), int)]
    for part in some:
        if part.versions != (__version__, np.__version__):
            raise ValueError(
                f"`engine` has a worker with fastautorec {part.versions[0]} and NumPy {part.versions[1]}, but the call "
                f"has {__version__} and {np.__version__}; install the same on all"
            )
        for ids, mine, its in (("users", first.users, part.users), ("items", first.items, part.items)):
            if mine != its:
                raise ValueError(
                    f"`files` must have ids of one kind, but those of the {ids} are {mine} in {first.name} and {its} "
                    f"in {part.name}; write them alike in all files"
                )
        known = columns.setdefault(part.dataset, part)
        if part.dataset and known.headings != part.headings:
            raise ValueError(
                f"`files` must have the same columns in all parts of {part.dataset}, but {dict(known.headings)} were "
                f"taken in {known.name} and {dict(part.headings)} in {part.name}; name them with user=, item= and so on"
            )
        ours, theirs = ({role: of.headings[role] for role in roles if role in of.headings} for of in (first, part))
        if any(ours[role] != theirs[role] for role in ours.keys() & theirs.keys()):
            raise ValueError(
                f"`files` must have the same columns, but {ours} were taken in {first.name} and {theirs} in "
                f"{part.name}; give all files the same header, or say the number of each column, as in user=0, item=1, "
                "which also holds where only the first file has a header"
            )
        for name, there, here in zip(("times", "weights"), first.has, part.has, strict=True):
            if there != here:
                has, lacks = (first.name, part.name) if there else (part.name, first.name)
                fix = "; leave them out with timestamp=False" if name == "times" else ""
                raise ValueError(f"`files` must all have {name} or none, but {has} has some and {lacks} has none{fix}")
        if part.kind is not None and timed is not None and part.kind != timed.kind:
            raise ValueError(
                f"`files` must have times of one kind, but those in {timed.name} are {timed.kind} and those in "
                f"{part.name} {part.kind}; make all of them numbers, or dates, or durations"
            )
    _require_no_gaps(some)
    _require_one_unit(some)
    times = [np.array(part.times) for part in some if part.times]
    check_joinable("`files`", times)
    return (np.result_type(*times).name if times else None), first.has[1]


def _require_some_of_each(facts: list[Facts], sources: list[Source], threshold: float | None) -> None:
    """Raise ValueError where nothing is left of a file whose row groups were read by themselves."""
    of_files: dict[str, list[Facts]] = {}
    for source, part in zip(sources, facts, strict=True):
        if source.groups is not None:
            of_files.setdefault(source.place, []).append(part)
    for path, parts in of_files.items():
        lacking = sum((Counter(part.lacking) for part in parts), Counter[str]())
        require_some(path, sum(part.n_whole for part in parts), lacking, parts[0].headings)
        if threshold is not None and not any(part.shape[2] for part in parts):
            raise ValueError(f"{path}: `threshold` {threshold:g} leaves nothing; lower it")


def _require_no_gaps(parts: list[Facts]) -> None:
    """Raise ValueError where the ids of all parts together are integers but for some that may stand for no value."""
    for number, role in enumerate(("user", "item")):
        odd = next((part for part in parts if part.gaps.get(role)), None)
        if odd is not None and {part.whole[number] for part in parts} - {None} == {True}:
            raise ValueError(f"{odd.name}: {integers_but_for(role, odd.gaps[role])}")


def _require_one_unit(parts: list[Facts]) -> None:
    """Raise ValueError where the times of all parts together are clearly of two units."""
    seen = [(part.name, Seen(*part.units)) for part in parts if part.units]
    if seen and reduce(Seen.plus, (units for _, units in seen)).are_mixed():
        moments = [(name, moment) for name, units in seen for moment in units.first if moment is not None]
        named, first = moments[0]
        name, unlike = next((name, unlike) for name, moment in moments if (unlike := other_unit(moment, first)))
        raise ValueError(f"`files` must have times of one unit, got {unlike} in {named}, in {name}; bring all to one")
