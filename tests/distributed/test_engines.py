"""Dask, Ray and Spark give the bits of the fit on one machine, and again after a worker was killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from engine_script import ENTRIES, digest, models

import fastautorec as far
from fastautorec import distributed

SCRIPT = Path(__file__).parents[1] / "engine_script.py"
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


@pytest.mark.parametrize("engine", PACKAGES)
def test_engines_give_the_same_bits(engine: str, tmp_path: Path) -> None:
    data = far.Interactions(far.datasets.synthetic(1000, 200, 12_000, random_state=0))
    data.to_disk(tmp_path / "data")
    done = run_on(engine, SCRIPT, tmp_path / "data", 2, "--kill", 0.05)
    expected = [digest(distributed.fit(model, tmp_path / "data", shard_entries=ENTRIES)) for model in models()]
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    refused = ["shard 7 is wrong"] * 2  # as what it is, which more tries would not have mended
    assert lines == [*expected, *refused, f"{expected[0]} killed"], done.stderr
