"""Shard a data set from an object store that is served here, in a process of its own, and print what comes out.

    python store_script.py FOLDER OUTPUT

Run by the tests in a network namespace that has nothing but its loopback, where one can be made.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import pyarrow.fs
from engine_script import dask, say
from parquet_parts import bytes_in

from fastautorec import distributed
from fastautorec.distributed import _sources

KEYS = {"AWS_ACCESS_KEY_ID": "who", "AWS_SECRET_ACCESS_KEY": "knows", "AWS_DEFAULT_REGION": "us-east-1"}


def main() -> None:
    folder, output = map(Path, sys.argv[1:])
    os.dup2(2, 1)
    logging.getLogger("werkzeug").setLevel("ERROR")  # a line for each request
    os.environ |= {**KEYS, "AWS_EC2_METADATA_DISABLED": "true"}
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    os.environ["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
    fsspec = s3fs.S3FileSystem(endpoint_url=f"http://{host}:{port}")
    fsspec.mkdir("bucket")
    fsspec.put(str(folder), "bucket/ratings", recursive=True)
    arrow = pyarrow.fs.S3FileSystem(endpoint_override=f"{host}:{port}", scheme="http", region="us-east-1")
    distributed.shard(folder, output / "disk", n_shards=3, verbose=False)
    ways: dict[str, tuple[str, Any]] = {
        "address": ("s3://bucket/ratings", None),
        "arrow": ("bucket/ratings", arrow),
        "s3fs": ("bucket/ratings/", fsspec),
        "s3fs and address": ("s3://bucket/ratings", fsspec),
    }

    def told(way: str, engine: Any, expected: Path) -> str:
        name, filesystem = ways[way]
        there = output / f"{way} {type(engine).__name__} {expected.name}"
        distributed.shard(name, there, n_shards=3, engine=engine, filesystem=filesystem, verbose=False)
        return f"{way}: {'same' if bytes_in(there) == bytes_in(expected) else 'other'} bytes"

    with dask(2) as (client, _):
        for engine in ("local", client):
            for way in ways:
                say(told(way, engine, output / "disk"))
        late = folder / "day=3" / "later.parquet"
        late.write_bytes((folder / "day=0" / "part-0.parquet").read_bytes())
        distributed.shard(folder, output / "later", n_shards=3, verbose=False)
        with arrow.open_output_stream("bucket/ratings/day=3/later.parquet") as file:
            file.write(late.read_bytes())  # which the file system of fsspec does not see
        _sources.WHOLE_BYTES, _sources.PIECE_ROWS = 0, 100
        for way in ways:
            say(told(way, client, output / "later"))
    server.stop()


if __name__ == "__main__":
    main()
