"""One fit over shards on each engine with two workers, in turn with the fit in this process with two threads.

Run: python -m benchmarks.distributed [dask] [ray] [spark] [--users N] [--items N] [--interactions N] [--factors K]

Ray listens on every network device: run it where there is none but the loopback, such as within
``unshare --map-root-user --net sh -c 'ip link set lo up && python -m benchmarks.distributed ray'``.
By default the size is that of Yahoo! R1 in the paper. Every result is compared with the local one, to the bit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastautorec as far
from fastautorec import distributed

WORKERS, SHARDS, ROUNDS = 2, 16, 3


@contextlib.contextmanager
def dask() -> Iterator[Any]:
    from distributed import Client, LocalCluster  # noqa: PLC0415

    here = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=WORKERS, **here) as cluster, Client(cluster) as client:
        yield client


@contextlib.contextmanager
def ray() -> Iterator[Any]:
    import ray as module  # noqa: PLC0415

    module.init(address="local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield module
    module.shutdown()


@contextlib.contextmanager
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession  # noqa: PLC0415

    here = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    builder = SparkSession.builder.master(f"local[{WORKERS}]")
    for name, value in (here | {"spark.driver.memory": "4g", "spark.driver.maxResultSize": "0"}).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


ENGINES = {"dask": dask, "ray": ray, "spark": spark}


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits over shards, on engines and in this process.")
    parser.add_argument("engines", nargs="*", help="by default all that are installed")
    parser.add_argument("--users", type=int, default=1_876_280)
    parser.add_argument("--items", type=int, default=44_865)
    parser.add_argument("--interactions", type=int, default=24_400_000)
    parser.add_argument("--factors", type=int, default=100)
    options = parser.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        shape = options.users, options.items, options.interactions
        data = far.Interactions(far.datasets.synthetic(*shape, random_state=0))
        data.to_disk(Path(folder, "data"))
        few = far.Interactions(far.datasets.synthetic(1000, 100, 10_000, random_state=0))
        few.to_disk(Path(folder, "few"))
        print(f"{data!r}, {options.factors} factors, {SHARDS} shards, {WORKERS} workers", flush=True)
        print(f"{'engine':8}{'fit, s':>10}{'local, s':>10}{'ratio':>8}{'empty pass, s':>15}  same bits", flush=True)
        for name in options.engines or ENGINES:
            try:
                with ENGINES[name]() as engine:
                    compare(name, engine, Path(folder), data.nnz // SHARDS + 1, options.factors)
            except ImportError as error:
                print(f"{name:8}left out: {error}", flush=True)


def compare(name: str, engine: Any, folder: Path, entries: int, factors: int) -> None:
    """Print one line about an engine."""

    def fit(engine: Any) -> tuple[float, Any]:
        start = time.perf_counter()
        model = distributed.fit(far.NCEAutoRec(factors=factors), folder / "data", engine=engine, shard_entries=entries)
        return time.perf_counter() - start, model

    def empty() -> float:
        start = time.perf_counter()
        distributed.fit(far.Popularity(), folder / "few", engine=engine, shard_entries=700)
        return time.perf_counter() - start  # which is one pass, over 15 shards

    empty()  # workers import the library
    passes = statistics.median(empty() for _ in range(5))
    times = [(fit(engine), fit("local")) for _ in range(ROUNDS)]
    (_, there), (_, here) = times[0]
    same = all(np.array_equal(getattr(there, part), getattr(here, part)) for part in ("encoder_", "decoder_"))
    theirs, ours = (statistics.median(pair[place][0] for pair in times) for place in (0, 1))
    print(
        f"{name:8}{theirs:10.2f}{ours:10.2f}{theirs / ours:8.2f}{passes:15.3f}  {'yes' if same else 'NO'}", flush=True
    )


if __name__ == "__main__":
    main()
