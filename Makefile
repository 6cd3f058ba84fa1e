# `make demo`, `make test` and `make check` need nothing but Python 3.10 or newer; each makes .venv first, once.
PYTHON ?= python3
VENV ?= .venv
OUT ?= demo
# Test files run side by side; each keeps to one thread, so that two of them share two cores well.
JOBS ?= 2
TESTS ?=

BIN = $(VENV)/bin

.PHONY: help environment demo test check clean

help:
	@echo "make demo    train a baseline and MuDuo on a small phantom dataset and compare them (under 10 minutes on 2 cores)"
	@echo "make test    run all tests (about 20 minutes on 2 cores); TESTS='tests/test_cli.py -x' runs some"
	@echo "make check   formatting, lint and types (seconds)"
	@echo "make clean   remove the environment, build leftovers and caches"
	@echo
	@echo "Each makes a virtual environment in .venv first: 1 to 6 minutes (3 GB to download) the first time, seconds later."
	@echo "Another Python: make test PYTHON=python3.12"

environment:
	@$(PYTHON) scripts/make_environment.py --venv "$(VENV)"

demo: environment
	"$(BIN)/muduo" demo --out "$(OUT)"

PYTEST = OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest

# A test that hangs ends its process and is tried once more, in a new one; it counts as failed either way.
SIDE_BY_SIDE = -n $(JOBS) --dist loadfile --max-worker-restart 1

# Forks of a process that has trained cannot train, and forks of one with threads may wait for these forever: tests that
# fork have processes of their own.
test: environment
ifeq ($(strip $(TESTS)),)
	$(PYTEST) -m forks $(SIDE_BY_SIDE)
	$(PYTEST) -m "not forks" $(SIDE_BY_SIDE)
else
	$(PYTEST) $(SIDE_BY_SIDE) $(TESTS)
endif

# Benchmarks run too seldom to tell when what they call has changed: names and arguments are checked, types are not.
LOOSELY := $(addprefix --disable-error-code=,arg-type assignment attr-defined call-overload index misc union-attr var-annotated)

check: environment
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check --no-cache .
	"$(BIN)/mypy"
	MYPYPATH=benchmarks "$(BIN)/mypy" $(LOOSELY) benchmarks/*.py

clean:
	rm -rf "$(VENV)" build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
