"""Pages whose blocks of Python are executed in order, and what they print is compared with the block that follows.

``python tests/executed_pages.py docs/tutorials/*.md`` writes what is printed into the pages.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<shown>.*?)```\n)?", flags=re.DOTALL)
NUMBER = re.compile(r"[-+±\[]*(?P<digits>\d[\d,]*(?:\.(?P<places>\d+))?)")
TINY = re.compile(r"(?:\d\.)?\de-(\d+)")


def executed(page: Path) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each block of a page with what it prints, standard output and error in one."""
    names: dict[str, Any] = {}
    text = page.read_text("utf-8")
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start("code"))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            exec(compile("\n" * line + block["code"], str(page), "exec"), names)
        yield block, printed.getvalue()


def is_same(shown: str, printed: str) -> bool:
    """Tell whether two texts have the same words, and the same numbers but for the rounding of their last digit.

    Another processor or library adds up in another order, which can turn 0.12345 into 0.1234 or 0.1235. Of a p-value
    such as 2e-301 the exponent has to be right within one.
    """
    words, others = shown.split(), printed.split()
    return len(words) == len(others) and all(map(_same_word, words, others))


def _same_word(shown: str, printed: str) -> bool:
    ours, other = TINY.fullmatch(shown), TINY.fullmatch(printed)
    if ours and other:
        return abs(int(ours[1]) - int(other[1])) <= 1
    ours, other = NUMBER.search(shown), NUMBER.search(printed)
    if shown == printed or not (ours and other and ours["places"] and other["places"]):
        return shown == printed
    if NUMBER.sub("", shown) != NUMBER.sub("", printed) or len(ours["places"]) != len(other["places"]):
        return False
    unit = 10.0 ** -len(ours["places"])
    values = [float(word["digits"].replace(",", "")) for word in (ours, other)]
    return abs(values[0] - values[1]) < 1.5 * unit


def write(page: Path) -> None:
    """Write what the blocks of a page print behind those that print something."""
    parts, end, text = [], 0, page.read_text("utf-8")
    for block, printed in executed(page):
        parts += [text[end : block.start()], f"```python\n{block['code']}```\n"]
        parts += [f"\n```text\n{printed}```\n"] if printed else []
        end = block.end()
    page.write_text("".join([*parts, text[end:]]), "utf-8")


if __name__ == "__main__":
    pages = [Path(name).resolve() for name in sys.argv[1:]]
    for page in pages:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # for the files that a page writes
            write(page)
