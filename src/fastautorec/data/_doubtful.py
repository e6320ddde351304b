"""Fields that are hardly meant as they are written: in quotation marks, for no value, or in two readings."""

from __future__ import annotations

import re
import warnings
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec.data import _plain as plain
from fastautorec.data._arrays import shown
from fastautorec.data._missing import GAPS
from fastautorec.data._roles import names_several
from fastautorec.data._texts import is_text
from fastautorec.exceptions import RatingsFileError

Ids = npt.NDArray[Any]

_SOME = 400  # ids that tell enough
_FEW = 3  # ids in brackets that are hardly titles
_REWRITTEN = re.compile(r"-?[0-9]+(\.0|([.,][0-9]+)?[eE]\+[0-9]+)")  # integers as pandas, R and Excel rewrite them
_WHOLE = re.compile(r"-?[0-9]+")
_ENCLOSED = re.compile(r'"(?:[^"]|"")*"')  # a whole field as csv quotes it
_FIX_QUOTES = (
    "write the file without them (in R quote=FALSE, row.names=FALSE, in Python quoting=csv.QUOTE_NONE), or load it "
    "with your data-frame library and call Interactions.from_dataframe"
)


def refuse_quoted_columns(path: Path, lines: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Raise for lines without quoting where all of a column, or all of the first line, is in quotation marks.

    There, quoting was meant. A title with quotation marks among others without stays as it is.
    """
    body = rows[1:] or rows
    columns = ([row[i] for row in body if len(row) > i and row[i]] for i in range(len(rows[0])))
    for fields in (rows[0], *columns):
        if fields and all(_ENCLOSED.fullmatch(field) for field in fields):
            fault = f"has {fields[0]} in quotation marks, which would be part of each such field here"
            number = 0 if fields is rows[0] else next(i for i, line in enumerate(lines) if fields[0] in line)
            raise RatingsFileError(f"{path}: {fault}, in {lines[number][:120]!r}; {_FIX_QUOTES}")


def check_quoted_ids(role: str, ids: Ids, beginning: str) -> None:
    """Look at ascending ids, read without quoting, for quotation marks that do not belong to them.

    Ids that all stand in marks, or with marks within that are doubled, are refused. Those that also occur without them
    are warned of: a song and another may be called so.
    """
    if not is_text(ids):
        return
    first, last = (bisect_left(ids, sign) for sign in ('"', "#"))  # "#" follows the mark
    marked = [text for text in ids[first:last].tolist() if len(text) > 2 and _ENCLOSED.fullmatch(text)]
    doubled = next((text for text in marked if '""' in text[1:-1]), None)
    if doubled is not None or (marked and len(marked) == len(ids)):
        raise ValueError(
            f"the {role} {doubled or marked[0]} is written with quotation marks around it, which would be part of it "
            f"here; {_FIX_QUOTES}"
        )
    twins = [text for text in marked if _place(ids, text[1:-1]) is not None]
    if twins:
        more = f" and {len(twins) - 1:,} more" if len(twins) > 1 else ""
        warnings.warn(
            f"{beginning}the {role} {twins[0][1:-1]!r}{more} also occurs in quotation marks, as another {role}; if "
            f"that is the same one, {_FIX_QUOTES}",
            stacklevel=3,
        )


def check_lists(role: str, heading: str, ids: Ids) -> None:
    """Raise for ascending ids that are lists written as texts: in brackets, or several under a heading such as ids."""
    if not is_text(ids) or not len(ids):
        return
    some = ids[:_SOME].tolist()
    several = any(re.search("[,;| ]", text) for text in some) or len(some) >= _FEW
    if (
        (several and _are_bracketed(ids))
        or _are_joined_numbers(some)
        or (names_several(heading) and _are_several(some))
    ):
        raise ValueError(
            f"column {heading!r}, taken as the {role}, holds lists, such as {shown(max(some, key=len))}; explode it to "
            "one value in a row first, as explode does in pandas and polars"
        )


def _are_bracketed(ids: Ids) -> bool:
    ends = {"[": "]", "(": ")", "{": "}"}
    return all(text[-1] == ends.get(text[0]) for text in ids[:_SOME].tolist()) and all(
        text[-1] == ends.get(text[0]) for text in ids.tolist()
    )


def _are_joined_numbers(some: Sequence[str]) -> bool:
    """Return whether all texts are whole numbers joined by one sign, most are several, and not always as many."""
    for sign in ",;|":
        parts = [text.split(sign) for text in some]
        lengths = [len(own) for own in parts]
        if 2 * sum(length > 1 for length in lengths) > len(parts) and len(set(lengths)) > 1:
            return all(part.strip().isdecimal() for own in parts for part in own)
    return False


def _are_several(some: Sequence[str]) -> bool:
    """Return whether most texts have several parts: whole numbers, or any where they differ in their number."""
    for sign in ",;| ":
        parts = [[part.strip() for part in text.split(sign) if part.strip()] for text in some]
        lists = [part for part in parts if len(part) > 1]
        if 2 * len(lists) <= len(parts):
            continue
        numbers = all(part.isdecimal() for own in parts for part in own)
        if numbers or (sign != " " and (len(set(map(len, parts))) > 1 or min(map(len, lists)) > 2)):
            return True
    return False


def check_gaps(
    role: str,
    ids: Ids,
    codes: npt.NDArray[np.int32],
    place: Callable[[int], str],
    beginning: str = "",
    refuse: bool = True,
) -> str:
    """Warn of ascending ids that may stand for no value, and return what it told of them.

    Parameters
    ----------
    role : {"user", "item"}
    ids : (n,)
    codes : int32 (rows,)
        The id of each row.
    place : callable
        Returns how to name a row.
    beginning : str
        Beginning of the warning.
    refuse : bool
        Raise for them where all others are integers.
    """
    if not is_text(ids) or not len(ids):
        return ""
    gaps = {gap: code for gap in GAPS if (code := _place(ids, gap)) is not None}
    if not gaps:
        return ""
    told = []
    for gap, code in gaps.items():
        rows = codes == code
        count, first = int(np.count_nonzero(rows)), place(int(np.argmax(rows)))
        told.append(f"{gap!r} ({count:,} of {len(codes):,} rows, first in {first})")
    all_told = " and ".join(told)
    if refuse and are_whole(ids):
        raise ValueError(integers_but_for(role, all_told))
    warnings.warn(
        f"{beginning}among the {role} ids, {all_told} may stand for no {role}, but counts as one; remove "
        "such rows if it does",
        stacklevel=3,
    )
    return all_told


def integers_but_for(role: str, told: str) -> str:
    """Return the message on ids that may stand for no value among integers."""
    what = f"the {role} ids are integers but for {told}, which may stand for no {role}"
    return f"{what}; remove such rows, or give them an id"


def are_whole(ids: Ids) -> bool | None:
    """Return whether all ids are integers but for those that may stand for no value; None where there are no others."""
    if not is_text(ids):
        return True if len(ids) else None
    for probe in (ids[0], ids[len(ids) // 2], ids[-1]) if len(ids) else ():
        if probe not in GAPS and plain.integers([str(probe)]) is None:
            return False
    others = [text for text in ids.tolist() if text not in GAPS]
    return plain.integers(others) is not None if others else None


def check_floats(role: str, ids: Ids, beginning: str = "") -> None:
    """Warn of numbers that are texts such as ``1.0``, as pandas writes integers beside gaps, or R's ``1e+05``."""
    if not is_text(ids) or not len(ids) or not str(ids[0])[:1].strip("-").isdecimal():
        return
    texts = ids.tolist()
    rewritten = [text for text in texts if _REWRITTEN.fullmatch(text)]
    if rewritten and all(_REWRITTEN.fullmatch(text) or _WHOLE.fullmatch(text) for text in texts):
        some = "the" if len(rewritten) == len(texts) else f"{len(rewritten):,} of the"
        warnings.warn(
            f"{beginning}{some} {role} ids are texts such as {rewritten[0]!r}, as pandas writes integers of a column "
            "with gaps (1.0) and R and Excel large ones (1e+05); if they are meant as integers, write them so, in "
            'pandas with column.astype("Int64"), in R with format(column, scientific=FALSE)',
            stacklevel=3,
        )


def _place(ids: Ids, text: str) -> int | None:
    """Return where a text is among ascending ones; NumPy 2.4 cannot search texts of variable width."""
    at = bisect_left(ids, text)
    return at if at < len(ids) and ids[at] == text else None


def refuse_thousands(path: Path, role: str, values: Sequence[str]) -> None:
    """Raise where commas in ratings or weights may be decimal commas or set off thousands."""
    commas = [text for text in values if "," in text]
    if commas and all(plain.THOUSANDS.fullmatch(text) for text in commas):
        number = commas[0].replace(",", "")
        raise RatingsFileError(
            f"{path}: {role.removesuffix('s')}s such as {commas[0]!r} may be {number} or "
            f"{commas[0].replace(',', '.')}; write them without the comma or with a decimal point, or leave them out"
            f"{' with rating=False' if role == 'rating' else ''}"
        )
