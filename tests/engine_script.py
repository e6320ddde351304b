"""Fit a few models on an engine, in a process of its own, and print digests of what comes out.

    python engine_script.py dask|ray|spark FOLDER WORKERS [--kill]

Run by the tests in a network namespace that has nothing but its loopback, where one can be made.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastautorec as far
from fastautorec import distributed
from fastautorec.distributed._engines import engine_of

ENTRIES = 1500
RESULTS = os.dup(1)


def models() -> list[Any]:
    """Return unfitted models that together need every kind of sum."""
    return [far.NCEAutoRec(16), far.NCEAutoRec(16, activation="tanh"), far.PureSVD(8), far.EASE(10), far.Popularity()]


def digest(model: Any) -> str:
    """Return the first characters of a hash of the fitted arrays."""
    names = [name for name in model._arrays if getattr(model, name, None) is not None]
    arrays = [np.ascontiguousarray(getattr(model, name)).tobytes() for name in names]
    return hashlib.sha256(b"".join(arrays)).hexdigest()[:16]


@contextlib.contextmanager
def dask(workers: int) -> Iterator[tuple[Any, Any]]:
    from distributed import Client, LocalCluster

    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=workers, **options) as cluster, Client(cluster) as client:
        pids = list(client.run(os.getpid).values())  # the client may not be asked from another thread
        yield client, lambda: pids


@contextlib.contextmanager
def ray(workers: int) -> Iterator[tuple[Any, Any]]:
    import ray as module

    module.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield module, _children_called("ray::IDLE", "ray::fastautorec", "ray::join")
    finally:
        module.shutdown()


@contextlib.contextmanager
def spark(workers: int) -> Iterator[tuple[Any, Any]]:
    from pyspark.sql import SparkSession

    here = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    builder = SparkSession.builder.master(f"local[{workers},4]")
    for name, value in (here | {"spark.ui.showConsoleProgress": "false"}).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session, _children_called(daemon="pyspark.daemon")
    finally:
        session.stop()


def _children_called(*starts: str, daemon: str = "") -> Any:
    """Return a function that finds the workers below this process by their command lines."""

    def find() -> list[int]:
        parents, found = {}, []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                line = (folder / "cmdline").read_text()
                if daemon in line if daemon else line.startswith(starts):
                    found.append(int(folder.name))
        below = [pid for pid in found if _is_below(pid, parents)]
        return [pid for pid in below if parents[pid] in below] if daemon else below

    return find


def _is_below(pid: int, parents: dict[int, int]) -> bool:
    while pid > 1 and pid != os.getpid():
        pid = parents.get(pid, 0)
    return pid == os.getpid()


def say(line: str) -> None:
    """Write a line that whoever reads it sees at once."""
    os.write(RESULTS, f"{line}\n".encode())


def kill_one(find: Any, after: float, killed: list[int]) -> None:
    """Kill one of the workers after so many seconds, once there are some."""
    time.sleep(after)
    for _ in range(200):
        for pid in find():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
        time.sleep(0.01)


def refuse(shard: int, _: tuple[Any, ...]) -> None:
    """Find the data of a shard wrong."""
    raise ValueError(f"shard {shard} is wrong")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=("dask", "ray", "spark"))
    parser.add_argument("folder")
    parser.add_argument("workers", type=int)
    parser.add_argument("--kill", type=float, nargs="*", default=[], help="seconds until a worker is killed, one a fit")
    args = parser.parse_args()
    os.dup2(2, 1)  # Ray prints what it has to say of a killed worker
    start = {"dask": dask, "ray": ray, "spark": spark}[args.engine]
    with start(args.workers) as running:
        for model in models():
            say(digest(distributed.fit(model, args.folder, engine=running[0], shard_entries=ENTRIES)))
        for verb in (engine_of(running[0]).map, engine_of(running[0]).reduce):
            try:
                verb(refuse, [7], ())
            except ValueError as error:
                say(f"{error}")
        for after in args.kill:
            # Dask does not start another worker each time, so each killing has a cluster of its own
            with start(args.workers) if args.engine == "dask" else contextlib.nullcontext(running) as (engine, workers):
                killed: list[int] = []
                thread = threading.Thread(target=kill_one, args=(workers, after, killed))
                thread.start()
                model = distributed.fit(models()[0], args.folder, engine=engine, shard_entries=ENTRIES)
                thread.join()
                say(f"{digest(model)} {'killed' if killed else 'nobody'}")


if __name__ == "__main__":
    main()
