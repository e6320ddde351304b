"""Scripts that start Dask, Ray or Spark, run where nothing but the loopback can reach them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

PACKAGES = {"dask": "distributed", "ray": "ray", "spark": "pyspark"}
LOOPBACK = 'ip link set lo up && exec "$@"'


def on_loopback() -> list[str]:
    """Return what a command begins with that sees no network but its own loopback, as far as the system lets us."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return []
    start = ["unshare", "--map-root-user", "--net", "sh", "-c", LOOPBACK, "sh"]
    return start if subprocess.run([*start, "true"], capture_output=True, check=False).returncode == 0 else []


def run_on(engine: str, script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script that starts an engine, or skip the test where that cannot be done here."""
    try:
        metadata.version(PACKAGES[engine])  # a folder of tests has the name of a package: importing tells nothing
    except metadata.PackageNotFoundError:
        pytest.skip(f"needs {engine}: make test-cluster")
    if engine == "spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    start = on_loopback()
    if engine == "ray" and not start:
        pytest.skip("Ray listens on every network device, and no namespace without one can be made here")
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "PYSPARK_PYTHON": sys.executable, "PYTHONWARNINGS": ""}
    command = [*start, sys.executable, script, engine, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)
