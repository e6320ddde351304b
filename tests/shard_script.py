"""Shard a data set on an engine in a process of its own, then a bad one, then the first while a worker is killed.

    python shard_script.py dask|ray|spark FILES OUTPUT BAD --kill SECONDS

Run by the tests as `engine_script.py` is.
"""

from __future__ import annotations

import argparse
import threading

from engine_script import dask, kill_one, ray, say, spark

from fastautorec import distributed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=("dask", "ray", "spark"))
    parser.add_argument("files")
    parser.add_argument("output")
    parser.add_argument("bad")
    parser.add_argument("--kill", type=float, help="seconds until a worker is killed")
    args = parser.parse_args()
    with {"dask": dask, "ray": ray, "spark": spark}[args.engine](2) as (engine, workers):

        def shard(files: str, output: str) -> str:
            paths = distributed.shard(files, output, n_shards=3, engine=engine, verbose=False)
            return " ".join(path.name for path in paths)

        say(shard(args.files, args.output))
        try:
            say(shard(args.bad, f"{args.output} bad"))
        except ValueError as error:
            say(f"refused: {error}")
        killed: list[int] = []
        thread = threading.Thread(target=kill_one, args=(workers, args.kill, killed))
        thread.start()
        names = shard(args.files, f"{args.output} again")
        thread.join()
        say(f"{names} {'killed' if killed else 'nobody'}")


if __name__ == "__main__":
    main()
