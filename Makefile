# `make run` shows the recorded incident; `make check`, `make test` and `make test-all` are the three tiers of tests.
# CONFIG=my.yml runs the same stack on your own configuration; ARGS='--prometheus-port 9191' adds flags.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?=
ARGS ?=
WORKERS ?= 2
# Tests of whole programs wait for them more than they compute.
LIVE_WORKERS ?= 4
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
UNIT := -m 'not slow and not live and not engines'
# Those that are no property tests.
UNIT_EXAMPLES := -m 'not slow and not live and not engines and not hypothesis'
POLICY := tests/domain tests/engine
# Python images forbid the cache of compiled files; every run would compile all tests again.
unexport PYTHONDONTWRITEBYTECODE
# The seed of `make test-all`: fixed, so that CI judges the change alone. Explore with another one:
# make test-all SEED=$$(date +%s)
SEED ?= 1
# Histories with dropped results, twice so many; 5000 of them take half an hour.
DROPPED ?= 400
# Histories that confirm narrows down, twice so many; 1000 of them take five minutes of a core.
CONFIRMED ?= 250

.PHONY: help run check test test-all coverage engines fuzz lint tools docs screenshots site soak bench dist clean

help:
	@echo 'make run                 the whole stack with a recorded incident (Ctrl-C stops it)'
	@echo 'make run CONFIG=my.yml   the same stack on your own configuration'
	@echo 'make check               format, lint, types, layers and the unit tests: 90 seconds'
	@echo 'make test                the same and every other test, branch coverage: 20 minutes'
	@echo 'make test-all            every test with more examples, 10,000 histories: 40 minutes at most'
	@echo 'make engines             every test on every Prometheus and Alertmanager that can be had, and vmalert'
	@echo 'make fuzz                10,000 odd inputs for every parser, or TRIES=500'
	@echo 'make lint                format, lint, types and layers only'
	@echo 'make docs                write the generated rules, documents and dashboards anew'
	@echo 'make site                build the documents as a site into site/, without a dead link'
	@echo 'make screenshots         take the pictures of docs/pictures/ anew'
	@echo 'make soak                500 kills under load, 100 of tickets, 28 simulated days: two hours'
	@echo 'make dist                build the wheel, the source distribution and the image into dist/'
	@echo 'make bench               measure evaluation, serving, the storage and what GitHub counts'

run: $(VENV)/run.stamp prometheus
	@$(BIN)/python -m trunkwatch.demo.run $(if $(CONFIG),--config '$(CONFIG)') $(ARGS)

check: lint tools
	$(PYTEST) $(UNIT) --hypothesis-profile=quick

# Measuring coverage doubles the time of a test: here only those of the policy, whose coverage must be
# complete with few examples; `make coverage` measures all unit tests. Property tests run with the live ones,
# which wait more than they compute.
test: lint tools
	$(PYTEST) $(UNIT) --hypothesis-profile=quick --cov --cov-report= $(POLICY)
	$(BIN)/coverage report --include='exporter/trunkwatch/domain/*' --skip-covered --show-missing --fail-under=100
	$(PYTEST) $(UNIT_EXAMPLES) $(addprefix --ignore=,$(POLICY))
	$(PYTEST) -n $(LIVE_WORKERS) -m '(slow or live or hypothesis) and not large and not engines' --durations=10

# Only property tests take examples.
test-all: lint tools
	tools/fetch-engines
	$(PYTEST) -m 'large and not engines' --durations=10
	$(PYTEST) -n $(LIVE_WORKERS) -m 'engines and not large' --durations=10
	$(PYTEST) -m 'hypothesis and not live' --hypothesis-profile=thorough --hypothesis-seed=$(SEED) --durations=10
	printf '%s\n' $(SEED) $$(($(SEED) + 5000)) | \
	  xargs -P 2 -I {} $(BIN)/python -m tests.reference.compare --count 5000 --seed {}
	printf '%s\n' $(SEED) $$(($(SEED) + $(DROPPED))) | \
	  xargs -P 2 -I {} $(BIN)/python -m tests.reference.dropped --count $(DROPPED) --seed {}
	printf '%s\n' $(SEED) $$(($(SEED) + $(CONFIRMED))) | \
	  xargs -P 2 -I {} $(BIN)/python -m tests.confirm.histories --count $(CONFIRMED) --seed {}

# Branch coverage of the whole package by the unit tests, in figures; `make test` demands that of the policy.
coverage: tools
	$(PYTEST) $(UNIT) --hypothesis-profile=quick --cov --cov-report=
	$(BIN)/coverage report --skip-covered

# What `make test-all` leaves out: minutes on each further engine.
engines: lint tools
	tools/fetch-engines
	$(PYTEST) -n $(LIVE_WORKERS) -m engines --durations=10

# Prints the number of tries of every parser, and what happened.
TRIES ?= 10000
fuzz: tools
	$(BIN)/python -m tests.fuzz --tries $(TRIES) --seed $(SEED) --workers $(WORKERS)

lint: $(VENV)/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/test.stamp
	$(BIN)/python rules/build.py
	$(BIN)/python dashboards/build.py
	$(BIN)/python -m tools.docs
	$(BIN)/python -m trunkwatch.demo.incident

site: $(VENV)/test.stamp
	$(BIN)/python -m mkdocs build --strict

screenshots: $(VENV)/test.stamp browser
	$(BIN)/python -m tools.screenshots

dist: $(VENV)/test.stamp
	@PYTHON=$(BIN)/python tools/dist

bench: $(VENV)/test.stamp schema
	$(BIN)/python -m tools.bench_all

# Short forms of both are in `make test`. The load and the days are those of a seed; the moments of the
# kills depend on the machine too.
soak: $(VENV)/test.stamp schema
	$(BIN)/python -m tests.soak.kills --kills 500 --seed $(SEED)
	$(BIN)/python -m tests.soak.ticket_kills --kills 100 --seed $(SEED)
	$(BIN)/python -m tests.soak.weeks --days 28 --keep 7 --seed $(SEED)

# What the tests need beside Python's packages.
tools: prometheus schema browser grafana gitlab-types

# docs/messages.md is rendered by amtool.
docs: prometheus

.PHONY: preflight prometheus schema browser grafana gitlab-types
prometheus: preflight
	@tools/fetch-prometheus

schema: $(VENV)/test.stamp
	@PYTHON=$(BIN)/python tools/fetch-graphql-schema

browser: preflight
	@tools/fetch-browser

grafana: preflight
	@tools/fetch-grafana

gitlab-types: preflight
	@tools/fetch-gitlab-types

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
	rm -rf $(VENV) .prometheus .engines .schema .browser .grafana .gitlab-types build dist site *.egg-info .coverage .mypy_cache .ruff_cache .import_linter_cache
