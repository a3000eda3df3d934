# fleetgen: `make run` starts the set, `make test` runs all tests; both set up what they need.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install install-dev run test soak check format lint types imports bench coverage lock clean

VENV := .venv
BIN := $(VENV)/bin
LOCKS := packaging/locks

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

install: $(VENV)/.run ## set up the environment that `make run` needs

install-dev: $(VENV)/.dev ## set up the environment that tests and checks need

run: $(VENV)/.run ## start the set; Ctrl-C stops it
	@exec bin/fleetgen up

test: $(VENV)/.dev .venv-numpy-oldest/.done ## run all tests, the long ones in their short form
	@packaging/need promtool prometheus
	@$(BIN)/python -m pytest -n 3 --dist loadfile

soak: $(VENV)/.dev ## run the long form of the tests that take long
	@packaging/need promtool prometheus
	@FLEETGEN_SOAK=1 $(BIN)/python -m pytest -m soak --timeout 7200

check: format lint types imports ## run all static checks, cheapest first

format: $(VENV)/.dev
	@$(BIN)/ruff format --check lib tests

lint: $(VENV)/.dev
	@$(BIN)/ruff check lib tests

types: $(VENV)/.dev
	@$(BIN)/mypy

imports: $(VENV)/.dev
	@$(BIN)/lint-imports

bench: $(VENV)/.dev ## measure throughput, cadence and memory beside their peers
	@for program in tests/benchmarks/bench_*.py; do $(BIN)/python "$$program" || exit 1; done

coverage: $(VENV)/.dev ## run the tests and report which lines they reach
	@$(BIN)/coverage run -m pytest tests/unit && $(BIN)/coverage report --skip-covered

lock: $(VENV)/.dev ## compile the locks anew from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o $(LOCKS)/core.txt --group pyproject.toml:build pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c $(LOCKS)/core.txt -o $(LOCKS)/run.txt --all-extras --group build pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c $(LOCKS)/run.txt -o $(LOCKS)/dev.txt --all-extras --group dev --group build pyproject.toml

clean: ## remove the environment and what tools left; data and run stay
	@rm -rf $(VENV) .venv-* dist .*_cache .hypothesis htmlcov .coverage*
	@find lib tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@packaging/make-environment $(VENV)

$(VENV)/.run: $(LOCKS)/run.txt pyproject.toml | $(VENV)/bin/python
	@packaging/install $(VENV) $(LOCKS)/run.txt
	@touch $@

.venv-numpy-oldest/.done: $(LOCKS)/numpy-oldest.txt | $(VENV)/bin/python
	@echo "Installing the oldest supported numpy …"
	@$(BIN)/python -m venv --clear .venv-numpy-oldest
	@.venv-numpy-oldest/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --only-binary :all: --requirement $(LOCKS)/numpy-oldest.txt
	@touch $@

$(VENV)/.dev: $(LOCKS)/dev.txt pyproject.toml | $(VENV)/bin/python
	@packaging/install $(VENV) $(LOCKS)/dev.txt
	@touch $(VENV)/.run $@
