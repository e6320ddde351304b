"""Engines: two verbs over shards, here, on Dask, Ray and Spark. None of them knows what is added up."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fastautorec._checks import kind
from fastautorec._extras import require
from fastautorec.distributed._joining import join, tree

TRIES = 4  # of one pass, each over what is left of the workers
PAUSE = 1.0  # seconds before another one
TASKS_OF_A_CORE = 2  # of Spark, at least, where there are so many shards
GATHERED = 32  # partial sums that the driver of Spark takes at once; a shuffle, which takes seconds, joins more of them
FAN_IN = 8  # of those in one place; a power of two, so that they are whole subtrees

Work = Callable[[Any, tuple[Any, ...]], Any]  # work(shard, state)


class Engine(Protocol):
    """What runs work over shards: any class with these two methods.

    ``work`` can travel (it is a function of a module with its first arguments given), keeps nothing, and may be done
    again after a failure.
    """

    def map(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...]) -> list[Any]:
        """Return ``work(shard, state)`` of each shard, in their order."""

    def reduce(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...]) -> Any:
        """Return the results of ``map`` added up as `fastautorec.distributed.tree` does, in this order."""


class Local:
    """The process itself: one shard after the other, each with all threads."""

    def map(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...]) -> list[Any]:
        return [work(shard, state) for shard in shards]

    def reduce(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...]) -> Any:
        waiting: list[tuple[int, Any]] = []  # joined groups and their levels: one for each level at most
        for shard in shards:
            level, sums = 0, work(shard, state)
            while waiting and waiting[-1][0] == level:
                level, sums = level + 1, join(waiting.pop()[1], sums)
            waiting.append((level, sums))
        joined = waiting.pop()[1]
        while waiting:
            joined = join(waiting.pop()[1], joined)
        return joined


class Dask:
    """A ``distributed.Client``: short tasks that no worker has to keep anything for."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def map(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...]) -> list[Any]:
        return list(self._tried(work, shards, state, self._client.gather))

    def reduce(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...]) -> Any:
        def joined(parts: list[Any]) -> Any:
            return tree(parts, lambda a, b: self._client.submit(join, a, b, key=_key("join"), pure=False)).result()

        return self._tried(work, shards, state, joined)

    def _tried(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...], finish: Callable[[Any], Any]) -> Any:
        scheduler = require("distributed", "engine=Client", "dask")
        lost = (
            scheduler.KilledWorker,
            scheduler.client.FutureCancelledError,
            scheduler.comm.CommClosedError,
            TimeoutError,
        )
        for left in reversed(range(TRIES)):
            try:
                # A hash of the content would give a second pass the key of the first one, whose data may be lost. The
                # workers hand the state on among themselves: a broadcast would wait for one that was just killed.
                (shared,) = self._client.scatter([state], hash=False)
                name = _name_of(work)
                return finish(
                    [self._client.submit(work, shard, shared, key=_key(name), pure=False) for shard in shards]
                )
            except lost:
                if not left:
                    raise
                time.sleep(PAUSE)
        raise AssertionError


class Ray:
    """The module ``ray``, after ``ray.init``: stateless tasks; its store holds the state once on each machine."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def _remote(self, work: Callable[..., Any], name: str) -> Callable[..., Any]:
        remote: Callable[..., Any] = self._ray.remote(work).options(max_retries=TRIES, name=name).remote
        return remote

    def _parts(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...]) -> list[Any]:
        def task(shard: Any, state: tuple[Any, ...]) -> Any:
            return work(shard, state)

        remote, shared = self._remote(task, _name_of(work)), self._ray.put(state)
        return [remote(shard, shared) for shard in shards]

    def map(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...]) -> list[Any]:
        return list(self._got(self._parts(work, shards, state)))

    def reduce(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...]) -> Any:
        return self._got(tree(self._parts(work, shards, state), self._remote(join, "join")))

    def _got(self, parts: Any) -> Any:
        try:
            return self._ray.get(parts)
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause or error) from None


class Spark:
    """A ``SparkSession``: each task joins the sums of a group of neighbours, and the driver those of the groups.

    Groups are whole subtrees, so that the bits do not depend on them. Spark's own ``treeReduce`` would join the sums in
    the order in which they arrive.
    """

    def __init__(self, session: Any) -> None:
        self._context = session.sparkContext

    def map(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...]) -> list[Any]:
        return [one for (one,) in self._done(Local().map, work, [[shard] for shard in shards], state)]

    def reduce(self, work: Work, shards: Sequence[Any], state: tuple[Any, ...]) -> Any:
        size, enough = 1, TASKS_OF_A_CORE * self._context.defaultParallelism
        while len(shards) > 2 * size * (enough - 1):
            size *= 2
        groups = [shards[start : start + size] for start in range(0, len(shards), size)]
        return tree(self._done(Local().reduce, work, groups, state, joined=True))

    def _done(
        self, verb: Callable[..., Any], work: Work, groups: list[Any], state: tuple[Any, ...], joined: bool = False
    ) -> list[Any]:
        """Return ``verb(work, group, state)`` of each group in their order, or a few sums of all of them."""
        shared = self._context.broadcast(state)

        def task(pair: tuple[int, Any]) -> tuple[int, Any]:
            try:
                return pair[0], verb(work, pair[1], shared.value)
            except Exception as error:
                return pair[0], Failure(error)

        parts, count = self._context.parallelize(list(enumerate(groups)), len(groups)).map(task), len(groups)
        while joined and count > GATHERED:
            count = -(-count // FAN_IN)
            parts = parts.map(_to_group).groupByKey(count).mapValues(_joined_group)
        try:
            return _in_order(parts.collect())
        except Exception as error:
            if _has_ended(self._context):
                raise RuntimeError(
                    "`engine` ended during the work: its SparkContext was shut down, as happens where Java has too "
                    'little memory for the sums; start a new session with more, as in .config("spark.driver.memory", '
                    '"4g"), and call again'
                ) from error
            raise
        finally:
            if not _has_ended(self._context):
                shared.destroy()


def _has_ended(context: Any) -> bool:
    """Return whether a SparkContext was stopped, by the caller or by Spark, or its Java is gone."""
    try:
        return hasattr(context, "_jsc") and (context._jsc is None or bool(context._jsc.sc().isStopped()))
    except Exception:  # Java does not answer
        return True


class Failure:
    """An error of the work as its result: what Spark sees fail it tries again, as if a worker had been lost."""

    def __init__(self, error: Exception) -> None:
        """Take an error that is being handled; one of a third package may not arrive as what it is."""
        known = type(error).__module__.partition(".")[0] in ("builtins", __package__.partition(".")[0])
        self.error = error if known else RuntimeError(f"{type(error).__name__}: {error}")
        self.where = traceback.format_exc()


def _in_order(pairs: Any) -> list[Any]:
    """Return numbered results in their order; raise the first error among them."""
    results = [value for _, value in sorted(pairs, key=_number)]
    for result in results:
        if isinstance(result, Failure):
            raise result.error from RuntimeError(result.where)
    return results


def _number(pair: tuple[int, Any]) -> int:
    return pair[0]


def _to_group(pair: tuple[int, Any]) -> tuple[int, tuple[int, Any]]:
    return pair[0] // FAN_IN, pair


def _joined_group(pairs: Any) -> Any:
    try:
        return tree(_in_order(pairs))
    except Exception as error:
        return Failure(error)


def _name_of(work: Any) -> str:
    """Return what a dashboard shows."""
    while given := getattr(work, "args", ()):
        work = given[0]
    return f"fastautorec-{getattr(work, '__name__', 'work')}"


def _key(name: str) -> str:
    return f"{name}-{time.monotonic_ns()}-{id(object())}"


def engine_of(given: Any) -> Engine:
    """Return the engine that a user names, or an object with the two verbs itself."""
    if isinstance(given, str) and given == "local":
        return Local()
    package, name = type(given).__module__.partition(".")[0], type(given).__name__
    if package == "distributed" and name == "Client":
        if given.status == "closed":
            raise ValueError("`engine` must be open, got a distributed.Client that was closed; connect another one")
        return Dask(given)
    if package == "pyspark" and name == "SparkSession":
        if _has_ended(given.sparkContext):
            raise ValueError("`engine` must be running, got a SparkSession that was stopped; start another one")
        return Spark(given)
    if getattr(given, "__name__", None) == "ray":
        return Ray(given)
    if callable(getattr(given, "map", None)) and callable(getattr(given, "reduce", None)):
        engine: Engine = given
        return engine
    raise TypeError(
        "`engine` must be 'local', a distributed.Client, the module ray, a SparkSession, or an object with the methods "
        f"map and reduce (see fastautorec.distributed.Engine), got {kind(given)}"
    )
