"""How many processors this process may use: those it may run on, and what a container's quota comes to."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
GROUPS = Path("/proc/self/cgroup")


def usable_cpus() -> int:
    """Return the number of processors that are worth a thread each, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(ROOT, GROUPS)
    return allowed if quota is None else max(1, min(allowed, quota))


@cache
def _quota(root: Path, groups: Path) -> int | None:
    """Return the smallest quota of the group of this process and of those around it, rounded up, or None."""
    quotas = []
    try:
        lines = groups.read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return None
    for line in lines:
        _, controllers, name = line.split(":", 2)
        inside = Path(name.lstrip("/"))
        if not controllers:  # version 2
            quotas += [_read(root / group / "cpu.max") for group in (inside, *inside.parents)]
        elif "cpu" in controllers.split(","):
            for group in (inside, *inside.parents):
                folder = root / "cpu" / group
                quotas.append(_read(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"))
    known = [quota for quota in quotas if quota is not None]
    return min(known) if known else None


def _read(*paths: Path) -> int | None:
    """Return the quota that is written in one or two files: microseconds of work, and of the time for it."""
    try:
        quota, period = " ".join(path.read_text("ascii") for path in paths).split()
        return -(-int(quota) // int(period)) if int(quota) > 0 else None  # "max" and -1 mean no quota
    except (OSError, ValueError, ZeroDivisionError):
        return None
