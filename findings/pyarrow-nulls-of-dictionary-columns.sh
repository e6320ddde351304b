#!/usr/bin/env bash
# pyarrow 26.0.1: to_numpy() of a dictionary-encoded column gives a missing value the value of another row.
#
# A column of a Table (a ChunkedArray) that is dictionary-encoded, as categoricals of data frames become, knows its nulls:
# null_count and to_pylist tell them. ChunkedArray.to_numpy() gives such a row another value: the row of nobody becomes a
# row of "b". The same data as one Array give None there. Nothing is raised, so a table without user ids trains a model of other users.
#
# Output seen with pyarrow 26.0.1, NumPy 2.4.6:
#   to_pylist() ['a', None, 'b', 'a']
#   to_numpy()  ['a', 'b', 'b', 'a'] of the column, ['a', None, 'b', 'a'] of its only chunk
#   integers    [10, 20, 20] for [10, None, 20]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyarrow==26.0.1 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import pyarrow as pa

column = pa.table({"user": pa.array(["a", None, "b", "a"]).dictionary_encode()})["user"]
whole, chunk = column.to_numpy().tolist(), column.chunk(0).to_numpy(zero_copy_only=False).tolist()
print(f"to_pylist() {column.to_pylist()}")
print(f"to_numpy()  {whole} of the column, {chunk} of its only chunk")
numbers = pa.chunked_array([pa.array([10, None, 20]).dictionary_encode()]).to_numpy().tolist()
print(f"integers    {numbers} for [10, None, 20]")
assert column.null_count == 1 and chunk == column.to_pylist() == ["a", None, "b", "a"]
assert whole == ["a", "b", "b", "a"] and numbers == [10, 20, 20], "the behaviour has changed"
PYTHON
