"""Run groups of cases: each in a process of its own, for its share of the time, with one line about what came out."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from faults.harness import run_group

SHARES = {  # of the time
    "kills": 4,
    "mutations": 3,
    "opens": 2,
    "serving": 2,
    "forks": 2,
    "ends": 2,
    "interrupts": 2,
    "lines": 2,
    "limits": 2,
    "streams": 3,
}
GRACE = 100  # seconds beyond its share, in which a group prepares its data and ends its last case


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(SHARES)} (default: all)")
    parser.add_argument("--seconds", type=float, default=120, help="for all groups together (default: 120)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 100_000, help="(default: another each time)")
    parser.add_argument("--case", type=int, help="the number of a case that is to be repeated, of one group")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process
    args = parser.parse_args()
    groups = args.groups or list(SHARES)
    if unknown := set(groups) - SHARES.keys():
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(SHARES)}")
    if args.here or args.case is not None:
        return run_group(groups[0], args.seed, args.seconds, args.case)
    whole = sum(SHARES[group] for group in groups)
    return max(_run_in_process(group, args.seconds * SHARES[group] / whole, args.seed) for group in groups)


def _run_in_process(group: str, seconds: float, seed: int) -> int:
    words = [group, "--seconds", f"{seconds:.1f}", "--seed", str(seed), "--here"]
    command = [sys.executable, "-X", "faulthandler", "-m", "faults", *words]
    # one thread of BLAS: a process that is forked while others are inside BLAS may wait for ever, with NumPy alone too
    process = subprocess.Popen(command, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, start_new_session=True)
    try:
        status = process.wait(seconds + GRACE)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        process.kill()
        process.wait()
    if status in (0, 1):
        return status
    how = "does not end" if status is None else f"ended with {status}"
    print(f"{group}: 1 fault, seed {seed}: the process of the group {how}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
