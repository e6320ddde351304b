"""Layouts of rating files: format, separator and header, and where user, item, rating and time are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastautorec._checks import check_choice
from fastautorec.data import _doubtful as doubtful
from fastautorec.data import _evidence as evidence
from fastautorec.data import _files as files
from fastautorec.data import _headings as headings
from fastautorec.data import _plain as plain
from fastautorec.data import _positions as positions
from fastautorec.data import _separators as separators
from fastautorec.data._missing import DROP
from fastautorec.data._roles import (
    NUMBERS,
    Roles,
    UnclearColumnsError,
    Words,
    find_roles,
    looks_like_a_heading,
    role_of,
    untyped,
)
from fastautorec.exceptions import RatingsFileError

FORMATS = ("auto", "csv", "tsv", "parquet", "movielens", "goodbooks", "netflix", "yahoo", "lists")

_NETFLIX_HEADING = re.compile(r"[0-9]+:")
_DECLARED = re.compile(r'"?sep=(\\t|[^"\w])"?', re.IGNORECASE)  # Excel's first line
_LINES, _LENGTHS = 5, 3  # lines of as many lengths, and no share of them alike, are hardly fields with some faults
_ALIKE = 0.8
_ADDRESS = re.compile(r"[a-z][a-z0-9]+:/", re.IGNORECASE)  # such as https:/ and s3:/; pathlib keeps one slash
_VALUE_START = re.compile(r"[-+.]?[0-9]")  # no column is named so
_DESCRIPTION = "it must hold lines of user, item[, rating[, timestamp]]"


@dataclass(frozen=True)
class Layout:
    """How to cut a line of a text file.

    Attributes
    ----------
    separator : str
        Between fields; a blank stands for any run of blanks and tabs.
    names : tuple of str or None
        The fields of the first line, if they name the columns.
    n_fields : int
        Fields of every line.
    position : dict
        Field number of each role that the file has; ``user`` and ``item`` always.
    evidence : dict
        How each of them was found: "given", "by name" or "by position".
    texts : frozenset of str
        Roles among user, item and timestamp whose first values are not all integers.
    decimal_comma : bool or None
        Whether ratings and weights are written as ``4,5``; None where the first lines have whole numbers only.
    booleans : bool
        Whether ratings are written as ``True`` and ``False``.
    dates : bool or None
        Whether times are dates, and not numbers; None where the first lines do not tell.
    numeric : tuple of int
        Fields without a role that hold numbers in the first lines.
    rated : tuple of int
        Those of them that look like ratings.
    preamble : int
        Lines with text before the first record, header included.
    trusted : bool
        Whether a quoted field may go on over lines that look like records.
    drop : bool
        Whether records that lack a value are left out.
    """

    separator: str
    names: tuple[str, ...] | None
    n_fields: int
    position: dict[str, int]
    evidence: dict[str, str]
    texts: frozenset[str]
    decimal_comma: bool | None = False
    booleans: bool = False
    dates: bool | None = None
    numeric: tuple[int, ...] = ()
    rated: tuple[int, ...] = ()
    preamble: int = 0
    trusted: bool = False
    drop: bool = False

    @property
    def headings(self) -> dict[str, str]:
        """The name or place of the column of each role."""
        return {role: f"column {i}" if self.names is None else self.names[i] for role, i in self.position.items()}


def find_format(path: Path, requested: str, words: Words) -> str:
    """Return which reader takes ``path``: "text", "lists", "parquet" or "netflix"; raise where there is nothing."""
    check_choice("format", requested, FORMATS)
    words.check()
    if _ADDRESS.match(str(path)) and not path.exists():
        raise FileNotFoundError(f"`path` must name a file on this machine, but {path} is an address; download it first")
    if not path.exists():
        raise FileNotFoundError(f"`path` must name a rating file, but {files.not_there(path)}")
    if path.is_dir():
        if requested == "parquet" or (requested == "auto" and files.parquet_parts(path)):
            return "parquet"
        if requested in ("auto", "netflix"):
            return "netflix"
        raise IsADirectoryError(f"`path` must name one file for format={requested!r}, got the folder {path}")
    if not path.is_file():
        raise ValueError(f"`path` must name a file, but {path} is a pipe or a device")
    if not path.stat().st_size:
        raise RatingsFileError(f"{path}: the file is empty; {_DESCRIPTION}")
    if requested in ("parquet", "netflix", "lists"):
        return requested
    if requested == "auto" and not words.given():
        if files.head(path, 4) == b"PAR1":
            return "parquet"
        lines = files.sample_lines(path)
        if _NETFLIX_HEADING.fullmatch(lines[0].strip()):
            return "netflix"
        if words.are_none() and _are_lists(path, lines):
            return "lists"
    elif requested == "auto" and files.head(path, 4) == b"PAR1":
        return "parquet"
    return "text"


def find_layout(path: Path, requested: str, words: Words) -> Layout:
    """Return the layout of a text file from its first lines and the words of the caller."""
    lines = files.sample_lines(path)
    _refuse_other_kinds(path, lines, words)
    if requested == "auto" and words.are_none():
        _refuse_baskets(path, lines[: evidence.LOOK])
    declared = _DECLARED.fullmatch(lines[0].strip(" "))
    if declared:
        lines = lines[1:] or [""]
    _refuse_preamble(path, lines[: evidence.LOOK], words)
    separator = words.sep or (declared and declared[1].replace("\\t", "\t"))
    separator = separator or separators.find_separator(path, lines, requested)
    rows = separators.rows_of(lines, separator)
    if len(rows[0]) < 2:
        named = f"no {separators.separator_name(separator)} in it" if words.sep else "has one field only"
        raise files.line_error(path, 1, lines[0], named, separators.SEPARATE)
    if separator in plain.UNQUOTED:
        doubtful.refuse_quoted_columns(path, lines, rows)
    names, roles = _find_columns(path, lines, rows, separator, words)
    position = roles.position
    body = _whole(rows[names is not None :], len(rows[0]), position, words)

    def values(role: str) -> list[str]:
        return [row[position[role]] for row in body if len(row) == len(rows[0])] if role in position else []

    may_have_commas = separator in (";", "\t", " ", "|")
    measures = [text for role in NUMBERS for text in values(role)] if may_have_commas else []
    for role in NUMBERS if may_have_commas else ():
        doubtful.refuse_thousands(path, role, values(role))
    whole = may_have_commas and all(map(evidence.WHOLE.fullmatch, measures))
    times = values("timestamp")
    numeric = tuple(evidence.numeric_columns(body or rows, len(rows[0]), position))
    return Layout(
        separator=separator,
        names=names,
        n_fields=len(rows[0]),
        position=position,
        evidence=roles.evidence,
        texts=frozenset(
            role
            for role in ("user", "item", "timestamp")
            if role in position and not evidence.are_whole(body, position[role])
        ),
        booleans=next(filter(None, values("rating")), "") in plain.BOOLEANS,
        decimal_comma=None if whole else any(evidence.DECIMAL_COMMA.fullmatch(text) for text in measures),
        dates=plain.is_date(times[0]) if times else None,
        preamble=bool(declared) + (names is not None),
        trusted=bool(words.sep),
        drop=words.missing == DROP,
        numeric=numeric,
        rated=tuple(evidence.rated_columns(body or rows, numeric, names)),
    )


def _find_columns(
    path: Path, lines: Sequence[str], rows: Sequence[list[str]], separator: str, words: Words
) -> tuple[tuple[str, ...] | None, Roles]:
    """Return the names in the first line, if it holds them, and where the roles are; raise where that is not clear."""
    header: bool | None = None
    names: tuple[str, ...] | None = None
    body = rows
    try:
        header = _has_header(rows, words)
        if header is None and not _breaks_off(lines[: evidence.LOOK], separator, len(rows[0]), bool(words.sep)):
            evidence.ask_for_header(rows[0], words)
        if header:
            names, body = tuple(rows[0]), rows[1:]
        by_position = not header and not words.given().keys() & {"user", "item"}
        roles = find_roles(names, len(rows[0]), words)
        position, found_by = roles
        body = _whole(body, len(rows[0]), position, words)
        if by_position:
            if words.header is None:
                evidence.refuse_sizes(body or rows)
            open_roles = {role: i for role, i in position.items() if found_by[role] == "by position"}
            positions.check_positions(body or rows, open_roles, separator)
        if names is not None and found_by.get("timestamp") == "by name":
            at = position["timestamp"]
            evidence.check_hours(untyped(names[at]), at, body)
        if names is not None:
            headings.check_headings(names, roles, body)
        evidence.check_whole_columns(body, position, names)
    except UnclearColumnsError as error:
        headed = header is not False and not words.given()  # or perhaps so
        matrix = headed and evidence.looks_like_a_matrix(rows[1:], 1)
        doubt = _doubt(rows, names, words)
        if "\ufffd" in lines[0]:
            raise files.line_error(path, 1, lines[0], *plain.NOT_UTF8) from None
        told = evidence.matrix_text(len(rows[0])) if matrix else f"{error}{doubt}"
        told += evidence.melt_hint(rows[1:]) if headed and not matrix else ""
        raise RatingsFileError(f"{path}, line 1: {told}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return names, roles


def _whole(rows: Sequence[list[str]], n_fields: int, position: dict[str, int], words: Words) -> Sequence[list[str]]:
    """Return the lines that count: all, or with ``missing="drop"`` those that lack no value."""
    if words.missing != DROP:
        return rows
    return [row for row in rows if len(row) == n_fields and not plain.lacking(row, position)]


def _refuse_other_kinds(path: Path, lines: Sequence[str], words: Words) -> None:
    """Raise for text that is not one of lines of fields."""
    first = lines[0].strip()
    if first[:1] in ("{", "["):
        lines_of = "lines=True, " if len(lines) > 1 and first[0] == lines[1].strip()[:1] == "{" else ""
        raise RatingsFileError(
            f"{path}: begins with {first[0]!r}, as JSON does; load it with a data-frame library, for example "
            f"pandas.read_json(path, {lines_of}dtype=False), which keeps ids as they are, and call "
            "Interactions.from_dataframe"
        )
    if first.lower().startswith(("<!doctype", "<html", "<?xml")):
        raise RatingsFileError(
            f"{path}: begins with {first[:40]!r}, as a web page does; was the file downloaded whole?"
        )
    if first.lower().startswith("%%matrixmarket"):
        raise RatingsFileError(
            f"{path}: begins with {first[:60]!r}, so it is a matrix in SciPy's reach: "
            "Interactions(scipy.io.mmread(path).tocsr())"
        )
    marks = {line.lstrip()[:1] for line in lines}
    if words.header is None and first[:1] in ("#", "%") and len(marks) > 1:
        raise files.line_error(path, 1, lines[0], "looks like a comment", evidence.comment_fix(first))


def _refuse_preamble(path: Path, lines: Sequence[str], words: Words) -> None:
    """Raise if the lines have the same number of fields but for the first ones, which may be a title or sizes."""
    edges = lines[-1] + lines[0] * any('"' in line for line in lines)  # the last one may be within a quoted text
    known = [words.sep] if words.sep else [" ", *(s for s in separators.SEPARATORS if s in edges)]
    found: list[tuple[int, int, int]] = []  # fields of most lines and of the first, and the number of the first lines
    for separator in known:
        lengths = [len(row) for row in separators.rows_of(lines, separator)]
        before = sum(length != lengths[-1] for length in lengths)
        if not before:
            other = separator == " " and not words.sep and any(s in lines[0] for s in separators.SEPARATORS)
            if lengths[-1] > 1 and not other:
                return
            continue
        if separator == " " and len(known) > 1 and not words.sep:
            continue  # blanks separate only where nothing else does
        most = max(2 * before, 2) < len(lengths) or set(lengths[:before]) == {1}
        if most and lengths[-1] > 1 and lengths[-1] not in lengths[:before]:
            found.append((lengths[-1], lengths[0], before))
    if not found:
        return
    n_fields, own, before = max(found)
    lines_of_title = "line if it is" if before == 1 else f"{before} lines if they are"
    fix = f"remove the first {lines_of_title} a title or sizes; a header must name every column"
    if before == 1 and own == n_fields - 1:
        fix += (
            "; R leaves out the name of its row names, and write.table(..., row.names=FALSE, quote=FALSE) writes none"
        )
    count = f"{own} field{'s' * (own > 1)}"
    raise files.line_error(path, 1, lines[0], f"has {count} where the lines below have {n_fields}", fix)


def _refuse_baskets(path: Path, lines: Sequence[str]) -> None:
    """Raise for lines of any number of items: those of one user, or of one basket as shops keep them."""
    there = [separator for separator in separators.SEPARATORS if any(separator in line for line in lines)] or [" "]
    lengths = {separator: Counter(len(row) for row in separators.rows_of(lines, separator)) for separator in there}
    if any(len(some) == 1 and min(some) > 1 for some in lengths.values()):
        return
    for separator in there:
        counted = evidence.counted_at(separators.rows_of(lines, separator))
        if counted is not None:
            raise RatingsFileError(f"{path}: {evidence.counted_text(counted)}")
    for separator, some in lengths.items():
        uneven = max(some.values()) < _ALIKE * sum(some.values())
        if uneven and sum(some.values()) >= _LINES and len(some) >= _LENGTHS:
            write = "" if separator == " " else "write blanks between them and "
            raise RatingsFileError(
                f"{path}: the lines have {min(some)} to {max(some)} fields, such as {lines[0][:120]!r}; if each holds "
                f"a user and the items, {write}say format='lists'; "
                "if each holds a basket without a user, write one line for each pair, with the number of the basket as "
                "its user"
            )


# -- lines and lists -------------------------------------------------------------------------------------------------


def _breaks_off(lines: Sequence[str], separator: str, n_fields: int, trusted: bool) -> bool:
    """Return whether the sampled lines have a fault that the reader will name."""
    try:
        list(plain.records(lines, separator, n_fields, trusted))
    except plain.LineFault:
        return True
    return any("\0" in line for line in lines)


def _are_lists(path: Path, lines: Sequence[str]) -> bool:
    """Return whether the lines are ``user item item ...``; raise where that is as likely as columns."""
    rows = [plain.words_of(line) for line in lines]
    if any(any(not evidence.WHOLE.fullmatch(word) for word in row) for row in rows):
        return False
    lengths = {len(row) for row in rows}
    users = [row[0] for row in rows]
    if evidence.counted_at(rows) == 1:
        raise RatingsFileError(f"{path}: {evidence.counted_text(1)}, else sep=' '")
    if len(rows) > 1 and max(lengths) > 2 and all(row[0] == str(len(row) - 1) for row in rows):
        raise RatingsFileError(
            f"{path}: every line, such as {lines[0][:99]!r}, begins with the number of what follows; if these are "
            "lists, put the user's id in its place and say format='lists', else say sep=' '"
        )
    if max(lengths) < 3 or len(set(users)) < len(users):
        return False
    if len(lengths) > 1:
        return True
    if "\t" in lines[0]:
        return False
    raise RatingsFileError(
        f"{path}: lines such as {lines[0][:120]!r} may be columns or `user item item ...`; say which: sep=' ' or "
        "format='lists'"
    )


# -- header --------------------------------------------------------------------------------------------------------


def _has_header(rows: Sequence[Sequence[str]], words: Words) -> bool | None:
    """Return whether the first line names the columns; None where nothing tells."""
    if words.header is not None:
        return words.header
    if any(isinstance(value, str) for value in words.given().values()):
        return True
    if evidence.counts_columns(rows):
        raise UnclearColumnsError(
            f"counts {evidence.shown_row(rows[0])}, as data-frame libraries head columns without names; say "
            "header=True and which columns are user and item if it is such a header, or header=False if it is data"
        )
    first = rows[0]
    values = [bool(_VALUE_START.match(field)) or evidence.is_value(field) for field in first]
    known = {role[0] for name in first if (role := role_of(untyped(name)))}
    if {"user", "item"} <= known:
        return True
    if not any(values) and _is_over_values(rows):
        return True
    if evidence.is_among_others(rows):
        return False
    headings = [looks_like_a_heading(name) for name in first]
    if not any(values) and any(headings):
        return True
    return False if first[0] and any(values) and not any(headings) else None


def _is_over_values(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether some column holds numbers or times in every line but the first."""
    body = [row for row in rows[1:] if len(row) == len(rows[0])]
    return bool(body) and any(all(evidence.is_value(row[i]) for row in body) for i in range(len(rows[0])))


def _doubt(rows: Sequence[Sequence[str]], names: tuple[str, ...] | None, words: Words) -> str:
    """Return how to say that a line taken for a header is none, where that may be."""
    if names is None or words.header or words.given():
        return ""
    plain_header = _is_over_values(rows) and any(looks_like_a_heading(untyped(name)) for name in names)
    return "" if plain_header else " (or header=False if the first line is no header)"
