# `make run` shows the recorded incident; `make test` sets up and passes every test.
# CONFIG=my.yml runs the same stack on your own configuration; ARGS='--prometheus-port 9191' adds flags.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?=
ARGS ?=

.PHONY: help run test lint tools docs bench clean

help:
	@echo 'make run                 the whole stack with a recorded incident (Ctrl-C stops it)'
	@echo 'make run CONFIG=my.yml   the same stack on your own configuration'
	@echo 'make test                every check and test'
	@echo 'make lint                the checks without the tests'
	@echo 'make docs                write the generated documents and dashboards anew'
	@echo 'make bench               measure check, /metrics and the requests that GitHub counts'

run: $(VENV)/run.stamp tools
	@$(BIN)/python -m trunkwatch.demo.run $(if $(CONFIG),--config '$(CONFIG)') $(ARGS)

test: lint tools
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/test.stamp
	$(BIN)/python -m tools.docs
	$(BIN)/python dashboards/build.py
	$(BIN)/python -m trunkwatch.demo.incident

bench: $(VENV)/test.stamp
	$(BIN)/python -m tools.bench
	$(BIN)/python -m tools.bench_github
	$(BIN)/python -m tools.bench_webhook

tools: preflight
	@tools/fetch-prometheus

.PHONY: preflight
# Report a missing requirement in one line before anything starts.
preflight:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("this needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'this needs python3 with venv: apt-get install python3-venv' >&2; exit 2; }
	@command -v git >/dev/null || { echo 'this needs git: apt-get install git' >&2; exit 2; }

$(VENV)/bin/python: | preflight
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo 'installing trunkwatch and what it needs into $(VENV)/ ...'
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/test.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo 'installing trunkwatch and what its tests need into $(VENV)/ ...'
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@ $(VENV)/run.stamp

clean:
	rm -rf $(VENV) .prometheus build *.egg-info .mypy_cache .ruff_cache .import_linter_cache
