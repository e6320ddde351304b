"""Shards of Parquet in an object store that speaks S3: the bytes of the same files on disk, here and on Dask."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from clusters import on_loopback

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
import pyarrow.parquet  # noqa: E402
from parquet_parts import DRAWN, data_set, table  # noqa: E402

SCRIPT = Path(__file__).parents[1] / "store_script.py"
WAYS = ["address", "arrow", "s3fs", "s3fs and address"]


def test_an_object_store_gives_the_bytes_of_the_disk(tmp_path: Path) -> None:
    for package in ("moto", "flask", "s3fs", "distributed"):
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            pytest.skip(f"needs {package}: make test-cluster")
    folder = data_set(tmp_path / "ratings", texts=True)
    pyarrow.parquet.write_table(table(DRAWN, texts=True), folder / "_late.parquet")  # does not count, but could be read
    pyarrow.parquet.write_table(table(DRAWN, texts=True), folder / "day=0" / "groups.parquet", row_group_size=60)
    command = [*on_loopback(), sys.executable, SCRIPT, folder, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{way}: same bytes" for way in WAYS * 3], done.stderr
