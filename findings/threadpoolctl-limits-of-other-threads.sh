#!/usr/bin/env bash
# threadpoolctl 3.8.0 with NumPy's OpenBLAS: once one thread has called threadpool_limits, the limits of other threads do
# nothing, and nothing says so.
#
# A plain call (not a `with` block) in the main thread, the usual line at the top of a program, makes that thread the one
# that controls OpenBLAS for as long as it lives. `with threadpool_limits(1, "blas")` in a worker thread then leaves the
# library at its number of threads, so workers multiply their threads by those of BLAS, which is what the limit was for.
# In version 3.6.0 the worker's limit counted.
#
# Output seen with NumPy 2.4.6:
#   threadpoolctl 3.6.0, worker inside its limit of 1: 1 thread(s)
#   threadpoolctl 3.8.0, worker inside its limit of 1: 2 thread(s)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'PYTHON'
import sys
import threading

import numpy  # noqa: F401  brings OpenBLAS
import threadpoolctl
from threadpoolctl import ThreadpoolController, threadpool_limits

seen = []


def work() -> None:
    with threadpool_limits(1, "blas"):
        seen.append(ThreadpoolController().select(internal_api="openblas").info()[0]["num_threads"])


threadpool_limits(2, "blas")
worker = threading.Thread(target=work)
worker.start()
worker.join()
print(f"threadpoolctl {threadpoolctl.__version__}, worker inside its limit of 1: {seen[0]} thread(s)")
assert seen[0] == int(sys.argv[1]), "the behaviour has changed"
PYTHON
python3 -m venv "$work/venv"
for pair in 3.6.0:1 3.8.0:2; do
  "$work/venv/bin/pip" install --quiet "threadpoolctl==${pair%:*}" numpy==2.4.6
  env -u OPENBLAS_NUM_THREADS "$work/venv/bin/python" "$work/look.py" "${pair#*:}"
done
