"""Make the embedded example, src/fastautorec/datasets/debian_dependencies.npz, from Debian's package metadata.

    apt-cache dumpavail | python scripts/make_example_data.py OUTPUT.npz

The rule: the rows are packages, the columns the names in their Depends, Pre-Depends and Recommends fields. Versions and
architectures are cut off, every alternative of "a | b" counts, names that are no package themselves (virtual packages)
count too, a package's own name does not. Rows and columns with fewer than 5 interactions are removed until none is
left (5-core). Ids are in ascending order. Of a package that is listed more than once, the first entry counts.

The file in the repository was made so on Debian 12 (bookworm, amd64, main): 17,330 x 5,460, 169,376 interactions.
Another release gives other figures.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from scipy import sparse

FIELDS = ("Depends", "Pre-Depends", "Recommends")
CORE = 5


def read_packages(lines: Iterable[str]) -> Iterator[tuple[str, set[str]]]:
    """Yield each package and the names it depends on or recommends."""
    package, names = "", set()
    for line in lines:
        field, _, value = line.partition(":")
        if field == "Package":
            package, names = value.strip(), set()
        elif field in FIELDS:
            names |= {re.split(r"[\s(:\[<]", name.strip())[0] for name in re.split(r"[,|]", value)}
        elif not line.strip() and package:
            yield package, names - {package, ""}
            package = ""
    if package:
        yield package, names - {package, ""}


def five_core(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Return which pairs stay when rows and columns with fewer than `CORE` are removed until none is left."""
    keep = np.ones(len(rows), bool)
    while True:
        enough_in_row = np.bincount(rows[keep], minlength=rows.max() + 1) >= CORE
        enough_in_col = np.bincount(cols[keep], minlength=cols.max() + 1) >= CORE
        remaining = keep & enough_in_row[rows] & enough_in_col[cols]
        if remaining.sum() == keep.sum():
            return keep
        keep = remaining


def main() -> None:
    """Read package metadata from standard input and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    packages: dict[str, set[str]] = {}
    for package, names in read_packages(sys.stdin):
        packages.setdefault(package, names)
    pairs = np.array([(package, name) for package, names in packages.items() for name in names])
    if not len(pairs):
        sys.exit("no package with dependencies on standard input; run: apt-get update, then apt-cache dumpavail")
    _, rows = np.unique(pairs[:, 0], return_inverse=True)
    _, cols = np.unique(pairs[:, 1], return_inverse=True)
    user_ids, item_ids = pairs[five_core(rows, cols)].T
    users, rows = np.unique(user_ids, return_inverse=True)
    items, cols = np.unique(item_ids, return_inverse=True)
    matrix = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, cols)), shape=(len(users), len(items)))
    matrix.sort_indices()
    np.savez_compressed(
        output,
        items=matrix.indices.astype(np.uint16 if len(items) < 2**16 else np.int32),
        lengths=np.diff(matrix.indptr).astype(np.uint16),
        user_ids=np.frombuffer("\n".join(users).encode("ascii"), np.uint8),
        item_ids=np.frombuffer("\n".join(items).encode("ascii"), np.uint8),
    )
    print(f"{output}: {matrix.shape[0]:,} x {matrix.shape[1]:,}, {matrix.nnz:,} interactions")


if __name__ == "__main__":
    main()
