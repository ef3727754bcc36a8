# make run    flies the reference mission
# make test   runs the tests
# make bench  measures the pipeline beside its peers
# make storm  kills, stops and hangs its processes at random, and proves that nothing was lost
# make soak   passes an hour's worth of items, and proves that the manager does not grow
# make lint   ruff and mypy
# Each sets up .venv first, where that was not done yet (make setup).

PYTHON ?= python3
# With no ROS 2 sourced: whose wheels, kilted or jazzy.
ROS_WHEELS ?= kilted
# More for pytest, as in make test PYTEST_ARGS='-k ledger'.
PYTEST_ARGS ?=
# How many tests run at a time; 0: one, in this very process, as a debugger wants it.
TESTS_AT_ONCE ?= 2
# More for the benchmarks, as in make bench BENCH_ARGS='--repeats 1'.
BENCH_ARGS ?=
# More for the storm, as in make storm STORM_ARGS='--items 2000 --no-peers'; with camera frames:
# STORM_ARGS=--frames.
STORM_ARGS ?=

VENV_PYTHON := .venv/bin/python

# Started by a program that runs in another environment made of ROS 2 wheels, we have inherited the
# search path for its libraries, and its note that the path is set.
ifdef _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH
endif

.PHONY: setup run test bench storm soak lint clean

setup:
	@$(PYTHON) requirements/install.py --ros-wheels $(ROS_WHEELS)
	@$(VENV_PYTHON) -m worker_pipeline.simulation.fetch_imagery assets >/dev/null

run: setup
	@$(VENV_PYTHON) -m worker_pipeline.mission

test: setup
	@$(VENV_PYTHON) -m pytest -n $(TESTS_AT_ONCE) --dist worksteal $(PYTEST_ARGS)

bench: setup
	@$(VENV_PYTHON) -m benchmarks $(BENCH_ARGS)

# First the ledgers and the supervision alone, then a real pipeline.
storm: setup
	@$(VENV_PYTHON) -m pytest -m storm
	@PYTHONPATH=.:test$${PYTHONPATH:+:$$PYTHONPATH} $(VENV_PYTHON) -m storm $(STORM_ARGS)

soak: setup
	@SOAK_ITEMS=108000 SOAK_DEATHS=100 $(VENV_PYTHON) -m pytest -s test/ros/test_soak.py

lint: setup
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m mypy

clean:
	rm -rf .venv out assets build install log
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
