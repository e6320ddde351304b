"""Names of files from names of experiments and data sets: a name is never a path, and no two share a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

LONGEST = 60  # letters of a stem
DIGITS = 8  # digits of a hash


def folder_of(name: str) -> str:
    """Return the name of a folder for an experiment: its own, if that is a plain one.

    >>> folder_of("paper-ml20m"), folder_of("../../x"), folder_of("/tmp"), folder_of("..")
    ('paper-ml20m', 'x-9cdf6a50', 'tmp-e9671acd', '5ec1f7e7')
    """
    plain = re.fullmatch(r"\w[\w .,+=()-]*", name) and not name.endswith((" ", ".")) and len(name) <= LONGEST
    return name if plain else _with_hash(name)


def stems(names: Collection[str]) -> dict[str, str]:
    """Return for each name the beginning of its files' names: small letters, digits and hyphens.

    A hash is added where two would agree, where one would be the beginning of another (of which the files have further
    words), and where nothing or not all is left of the name.

    >>> stems(["Few books", "Clicks 4+", "Clicks 4"])
    {'Few books': 'few-books', 'Clicks 4+': 'clicks-4-ce2cf556', 'Clicks 4': 'clicks-4-f34b2fb2'}
    """
    slugs = {name: _slug(name) for name in names}

    def is_own(name: str) -> bool:
        slug = slugs[name]
        others = [other for key, other in slugs.items() if key != name]
        return 0 < len(slug) <= LONGEST and not any(slug == other or slug.startswith(f"{other}-") for other in others)

    return {name: slug if is_own(name) else _with_hash(name) for name, slug in slugs.items()}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _with_hash(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGITS]
    return f"{_slug(name)[:LONGEST].strip('-')}-{digest}".lstrip("-")
