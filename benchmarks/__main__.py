"""Run all benchmarks and write their report: python -m benchmarks [--quick] [--out FOLDER] [options of pytest]."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks import report
from benchmarks._common import HERE
from benchmarks._results import Results


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="benchmarks",
        description="Run all benchmarks; write results.json, report.md and pictures.",
        epilog="Other options go to pytest: -k recommend, --seconds 0.5, ...",
    )
    parser.add_argument("--out", type=Path, default=Path("build") / "benchmarks", help="default: build/benchmarks")
    parser.add_argument("--quick", action="store_true", help="small data, every call once: does everything run?")
    options, others = parser.parse_known_args()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out.resolve() / "results.json"
    file.unlink(missing_ok=True)
    files = sorted(str(path) for path in HERE.glob("bench_*.py"))
    quick = ["--quick"] if options.quick else []
    command = [sys.executable, "-m", "pytest", "-q", *files, f"--benchmark-json={file}", "--benchmark-columns=median"]
    code = subprocess.run([*command, *quick, *others], cwd=HERE.parent, check=False).returncode
    if file.is_file():
        print(report.write(Results.read(file), file.parent))
    return code


if __name__ == "__main__":
    sys.exit(main())
