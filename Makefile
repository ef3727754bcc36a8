# SPDX-License-Identifier: Apache-2.0
# make run       flies the reference mission
# make check     runs the linters and the fast unit tests
# make test      runs the tests
# make bench     measures the pipeline beside its peers
# make storm     kills, stops and hangs its processes at random, and proves that nothing was lost
# make soak      passes an hour's worth of items, and proves that the manager does not grow
# make coverage  runs the unit tests, and fails where they reach too few branches
# make lint      ruff, codespell and mypy
# Each sets up .venv first, where that was not done yet (make setup).

PYTHON ?= python3
# With no ROS 2 sourced: whose wheels, kilted or jazzy.
ROS_WHEELS ?= kilted
# More for pytest, as in make test PYTEST_ARGS='-k ledger'.
PYTEST_ARGS ?=
# The tests of make check.
FAST := not storm and not property and not slow
# A failed test of real processes is tried once more (test/conftest.py), at most three in a run.
RERUNS := --max-suite-reruns 3 --rerun-show-tracebacks
# About half of them, for the second process.
CHECKED_ASIDE := $(addprefix test/unit/,airside quarantine recovery worker)
# How many tests run at a time; 0: one, in this very process, as a debugger wants it.
TESTS_AT_ONCE ?= 2
# More for the benchmarks, as in make bench BENCH_ARGS='--repeats 1'.
BENCH_ARGS ?=
# More for the storm, as in make storm STORM_ARGS='--items 2000 --no-peers'; with camera frames:
# STORM_ARGS=--frames; with pauses instead of kills: STORM_ARGS=--pauses.
STORM_ARGS ?=

VENV_PYTHON := .venv/bin/python

# Started by a program that runs in another environment made of ROS 2 wheels, we have inherited the
# search path for its libraries, and its note that the path is set.
ifdef _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH
endif

.PHONY: setup run check check-framework check-airside check-style test coverage bench storm soak lint clean

setup:
	@$(PYTHON) requirements/install.py --ros-wheels $(ROS_WHEELS)
	@$(VENV_PYTHON) -m worker_pipeline.airside.simulation.fetch_imagery assets >/dev/null

run: setup
	@$(VENV_PYTHON) -m worker_pipeline.airside.mission

# Bytecode is written even where the environment forbids it: compiling the tests takes longer than
# running most of them, and each process of a pipeline would compile the package.
check test coverage: export PYTHONDONTWRITEBYTECODE =

# The linters, and the fast unit tests in two processes: pytest-xdist would collect all of them twice.
check: setup
	@$(MAKE) --no-print-directory --jobs=2 --output-sync check-framework check-airside check-style

check-framework:
	@$(VENV_PYTHON) -m pytest test/unit $(addprefix --ignore=,$(CHECKED_ASIDE)) -q -m '$(FAST)'

check-airside:
	@$(VENV_PYTHON) -m pytest $(CHECKED_ASIDE) -q -m '$(FAST)'

check-style:
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m codespell_lib
	@$(VENV_PYTHON) -m mypy

test: setup
	@$(VENV_PYTHON) -m pytest -n $(TESTS_AT_ONCE) --dist worksteal $(RERUNS) $(PYTEST_ARGS)

# The floor of the whole package stands in pyproject.toml.
coverage: setup
	@$(VENV_PYTHON) -m pytest test/unit -n $(TESTS_AT_ONCE) --dist worksteal --cov --cov-report=
	@$(VENV_PYTHON) -m coverage report
	@$(VENV_PYTHON) -m coverage report --include='worker_pipeline/core/*' --fail-under=99

bench: setup
	@$(VENV_PYTHON) -m benchmarks $(BENCH_ARGS)

# First the ledgers and the supervision alone, then a real pipeline.
storm: setup
	@$(VENV_PYTHON) -m pytest -m storm
	@PYTHONPATH=.:test$${PYTHONPATH:+:$$PYTHONPATH} $(VENV_PYTHON) -m storm $(STORM_ARGS)

soak: setup
	@SOAK_ITEMS=108000 SOAK_DEATHS=100 $(VENV_PYTHON) -m pytest -s test/ros/test_soak.py

lint: setup
	@$(MAKE) --no-print-directory check-style

clean:
	rm -rf .venv out assets build install log
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage *.egg-info
