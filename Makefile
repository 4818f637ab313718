# Two commands are enough: `make demo` and `make test`. Everything here may be run again at any time.
# Here: the environment and which tool checks what. Not here: what the project does; that is `lakehouse --help`.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.lakehouse-installed
# More arguments for pytest, the benchmarks or the demo: make test ARGS="-k bronze"
ARGS ?=

# The first of these that runs and has the right version. A name on the PATH alone proves nothing: version managers
# leave shims for versions that are not there.
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && { echo "$$p"; break; }; done)

.PHONY: help setup dev-setup demo dev test lint format bench soak docs up down clean lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Install packages, jars, DuckDB extensions and the dbt manifest
	@$(BIN)/lakehouse setup

dev-setup: setup ## The same as setup

demo: setup ## Send events, pull the plug, prove that nothing was lost or doubled
	@$(BIN)/lakehouse demo $(ARGS)

dev: setup ## Run everything with Dagster's UI and the sensors on, until Ctrl-C
	@$(BIN)/lakehouse dev $(ARGS)

# Three processes on two cores: each waits a fifth of its time, for servers and clocks.
test: setup ## Run the whole test suite with the coverage gate
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --cov --cov-report=term $(ARGS)

test-slow: setup ## Run the fault tests that take minutes, which `make test` leaves out
	@$(BIN)/pytest -m slow --durations=0 $(ARGS)

lint: $(STAMP) ## Check style, types, layers, SQL, contracts and generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if [ -f dbt_project/dbt_project.yml ]; then echo "$(BIN)/sqlfluff lint dbt_project"; $(BIN)/sqlfluff lint dbt_project; fi
	@$(BIN)/lakehouse streams validate
	@$(BIN)/lakehouse pipelines validate
	@diff -u .env.example <($(BIN)/lakehouse config --env-example) \
		|| { echo ".env.example is old; make it anew: lakehouse config --env-example > .env.example" >&2; exit 1; }

format: $(STAMP) ## Put Python and SQL into form
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .
	@if [ -f dbt_project/dbt_project.yml ]; then $(BIN)/sqlfluff fix dbt_project; fi

bench: setup ## Measure throughput, latency and memory into benchmarks/results/
	@$(BIN)/python -m benchmarks.run $(ARGS)

soak: setup ## Kill workers and the broker over 1,000 batches or an hour on a scratch lake, then verify
	@$(BIN)/lakehouse prove sales --batches 1000 --minutes 60 $(ARGS)

docs: setup ## Build the static catalogue of gold
	@$(BIN)/lakehouse gold docs

up: $(STAMP) ## Start the embedded Kafka broker and Spark server
	@$(BIN)/lakehouse up $(ARGS)

down: ## Stop everything that runs for this project
	@if [ -x $(BIN)/lakehouse ]; then $(BIN)/lakehouse down; fi

clean: down ## Remove caches and build output; the lake in .lakehouse stays
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage* coverage.xml \
		dbt_project/target dbt_project/logs site
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

lock: ## Lock the Python packages anew, after pyproject.toml has changed
	@uv pip compile pyproject.toml --extra dev --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet -o requirements.lock

# The stamp makes a second call instant. It is older than the lock after a `git pull` that changed packages.
$(STAMP): requirements.lock pyproject.toml infra/uv.lock.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: no Python 3.11 or 3.12 found." >&2; \
		echo "  fix: install one, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; fi
	@began=$$SECONDS; \
	echo "Python packages … (first time: about 450 MB)" >&2; \
	uv=uv; \
	if ! uv --version >/dev/null 2>&1; then \
		[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) \
			|| { echo "error: $(PYTHON) cannot make environments. fix: install its venv module (python3-venv)" >&2; exit 2; }; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r infra/uv.lock.txt; \
		uv=$(BIN)/uv; \
	fi; \
	[ -x $(BIN)/python ] || $$uv venv --quiet --python "$$(command -v $(PYTHON))" $(VENV); \
	: "Compiled once: each run is a process of its own, and where Python may not write bytecode each would compile."; \
	$$uv pip install --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock; \
	$$uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation -e .; \
	$(BIN)/python -m compileall -q lakehouse; \
	touch $@; \
	echo "✓ Python packages  $$((SECONDS - began)) s" >&2
