#!/usr/bin/env bash
# Spark 4.1.4: ALS with implicitPrefs takes twenty clicks in twenty rows for a preference of 7.3, twenty in one row for 1.
#
# A preference is 0 or 1, and clicks raise the confidence in it: c = 1 + alpha * r. Rows of the same user and item are not
# added up first. Each adds its own (1 + alpha * r) to one side of the equations and alpha * r to the other, where the 1
# belongs once. So k rows of 1 fit the value k (1 + alpha) / (1 + k alpha), up to 1 + 1 / alpha, and pairs in raw logs
# outrank those that were counted before. `groupBy("user", "item").sum("rating")` before the fit avoids it.
#
# Output seen with PySpark 4.1.4, NumPy 2.4.6, OpenJDK 17; alpha is 0.1, so 20 * 1.1 / 3 is 7.33:
#   one row of 20 clicks: score 1.00; twenty rows of one: 7.31
set -euo pipefail
command -v java > /dev/null || { echo "Spark needs Java"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyspark==4.1.4 numpy==2.4.6
cat > "$work/als.py" <<'PYTHON'
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
others = [(0, 1, 1.0), (1, 1, 1.0), (1, 2, 1.0), (2, 2, 1.0), (2, 0, 1.0)]


def score(clicks: list[tuple[int, int, float]]) -> float:
    """Return the score of user 0 for item 0 after the given clicks of that pair."""
    als = ALS(rank=3, maxIter=8, regParam=0.01, alpha=0.1, implicitPrefs=True, seed=1, numUserBlocks=1, numItemBlocks=1)
    model = als.fit(spark.createDataFrame(clicks + others, ["user", "item", "rating"]).coalesce(1))
    return model.transform(spark.createDataFrame([(0, 0)], ["user", "item"])).first().prediction


counted, repeated = score([(0, 0, 20.0)]), score([(0, 0, 1.0)] * 20)
print(f"one row of 20 clicks: score {counted:.2f}; twenty rows of one: {repeated:.2f}")
spark.stop()
assert counted < 1.1 and repeated > 5, "the behaviour has changed"
PYTHON
SPARK_LOCAL_IP=127.0.0.1 unshare -rn sh -c 'ip link set lo up; exec "$0" "$1" 2> "$2"' \
    "$work/venv/bin/python" "$work/als.py" "$work/log" || { tail -n 20 "$work/log"; exit 1; }
