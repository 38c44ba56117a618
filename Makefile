# Everything a developer runs. Works from anywhere by `make -C`; needs Python 3.11 or 3.12.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test nightly chaos testbeds check bench lock has-python environment environment-runtime

# Tests that run beside one another; most of them wait for servers.
WORKERS ?= 3

# The first Python that runs and is supported; say `make PYTHON=/path/to/python3.12` for another.
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	2>/dev/null && { echo "$$python"; break; }; done)
endif

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: environment-runtime ## see the whole path at work on a recorded cluster; needs only Python
	@.venv/bin/dogwatch demo

test: environment testbeds ## run all tests; ARGS="-k name" for some of them
	.venv/bin/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

nightly: environment ## run the random tests of rules, changes and store at length: some hours
	CEL_EXAMPLES=100000 RULE_FUZZ_EXAMPLES=1000000 PROMTOOL_TRACES=400 \
	INTERLEAVINGS=1000 WALK_STEPS=100000 STORE_DAMAGES=1000 STORE_KILLS=200 \
	.venv/bin/python -m pytest --timeout 0 --hypothesis-profile nightly tests/stream tests/rules \
	tests/changes/test_walk.py tests/changes/test_interleavings.py \
	tests/store/test_damage.py tests/store/test_kill.py $(ARGS)

chaos: environment testbeds ## kill, stop and starve all there is, beside a ledger: hours; ARGS="--quick"
	@.venv/bin/python -m tests.chaos $(ARGS)

testbeds: environment ## get the servers that tests start, once, into a cache outside the tree
	@.venv/bin/python -m tests.testbeds build

check: environment ## check style, types and layers
	.venv/bin/python -m ruff check
	.venv/bin/python -m ruff format --check
	.venv/bin/python -m mypy
	.venv/bin/lint-imports

bench: environment ## measure throughput and latency here and now
	@set -e; for file in tests/bench/*.py; do \
	.venv/bin/python -m "tests.bench.$$(basename "$$file" .py)"; done

lock: has-python ## resolve the lock files again; UPGRADE=1 for the newest versions
	@"$(PYTHON)" requirements/lock.py $(if $(UPGRADE),--upgrade)

environment: has-python
	@"$(PYTHON)" requirements/environment.py dev

environment-runtime: has-python
	@"$(PYTHON)" requirements/environment.py runtime

has-python:
	@test -n "$(PYTHON)" || { echo "dogwatch needs Python 3.11 or 3.12, and neither was found;" \
	"install one, or say make PYTHON=/path/to/it" >&2; exit 1; }
