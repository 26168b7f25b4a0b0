# Everything runs in an environment of its own, built from a hashed lock in requirements/.
PYTHON ?= python3
AIRFLOW_PYTHON ?= $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := .venv-demo
DEMO_READY := $(DEMO)/.ready
AIRFLOW := .venv-airflow
AIRFLOW_READY := $(AIRFLOW)/.ready
AIRFLOW_LOWEST := .venv-airflow-lowest
AIRFLOW_LOWEST_READY := $(AIRFLOW_LOWEST)/.ready
ENGINES := .venv-engines
ENGINES_READY := $(ENGINES)/.ready
NODE_READY := openapi/node_modules/.ready
# The tests wait more than they compute, so there are more of them at a time than processors.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
EXTRAS := --extra cli --extra contract --extra progress --extra simulator
SOURCES := wrappers tests tools benchmarks examples hatch_build.py openapi
PORT ?= 8000
# The linter of the document asks nobody for news.
export REDOCLY_TELEMETRY := off
export REDOCLY_SUPPRESS_UPDATE_NOTICE := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test lint types generate check-generated lint-openapi check format wheel wheel-check test-matrix contract diff-contract check-api audit mutants test-airflow airflow-demo test-engines docs docs-serve screenshots lock release clean

# An environment whose Python is gone, too old or without pip is built again.
SOUND := import pip, sys; sys.exit(sys.version_info < (3, 11))
$(foreach venv,$(wildcard $(VENV) $(DEMO) $(AIRFLOW) $(AIRFLOW_LOWEST) $(ENGINES)),$(if $(shell $(venv)/bin/python -c '$(SOUND)' 2> /dev/null && echo sound),,$(shell rm -f $(venv)/.ready)))

comma := ,

# $(call environment,FOLDER,PYTHON,LOCK,WHAT FOR): create it if it is missing or broken, and fill it.
define environment
	@$(2) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
		echo "$(2) is $$($(2) -V 2> /dev/null || echo not installed), but Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; }
	@if ! $(1)/bin/python -c '$(SOUND)' 2> /dev/null; then \
		rm -rf $(1); \
		$(2) -m venv $(1) > /dev/null || { rm -rf $(1); \
			echo "$(2) cannot create $(1); on Debian, install the package python3-venv" >&2; exit 1; }; \
	fi
	@echo "Installing $(4) into $(1) …"
	@# A lock names all that is needed, so there is nothing to resolve.
	@$(1)/bin/python -m pip install -qq --no-compile --no-deps --require-hashes -r $(3)
	@$(1)/bin/python -m pip install -qq --no-compile --no-deps --no-build-isolation -e .
	@touch $(1)/.ready
endef

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(READY): requirements/dev.txt pyproject.toml
	$(call environment,$(VENV),$(PYTHON),requirements/dev.txt,the tools of development (about 1 GB; some minutes the first time))

$(DEMO_READY): requirements/demo.txt pyproject.toml
	$(call environment,$(DEMO),$(PYTHON),requirements/demo.txt,the package with its command and simulator (some seconds))

$(AIRFLOW_READY): requirements/airflow.txt pyproject.toml
	$(call environment,$(AIRFLOW),$(AIRFLOW_PYTHON),requirements/airflow.txt,Airflow (some minutes the first time))

$(AIRFLOW_LOWEST_READY): requirements/airflow-lowest.txt pyproject.toml
	$(call environment,$(AIRFLOW_LOWEST),$(AIRFLOW_PYTHON),requirements/airflow-lowest.txt,the lowest Airflow that is supported (some minutes the first time))

$(ENGINES_READY): requirements/engines.txt pyproject.toml
	$(call environment,$(ENGINES),$(PYTHON),requirements/engines.txt,Prefect$(comma) Dagster and Temporal (some minutes the first time))

$(NODE_READY): openapi/package-lock.json $(READY)
	@echo "Installing the document's linter and mock server into openapi/node_modules …"
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix openapi --loglevel=error --no-audit --no-fund --ignore-scripts
	@touch $@

demo: $(DEMO_READY) ## Watch the command wait for operations of a simulated service
	@$(DEMO)/bin/python examples/demo.py

test: $(READY) $(NODE_READY) ## Run all tests, with branch coverage
	rm -f .coverage .coverage.*
	@# What failed beside the others is run once more, alone: a few tests need a machine that answers.
	$(BIN)/coverage run -m pytest -n $(WORKERS) || \
		$(BIN)/coverage run -m pytest --last-failed --last-failed-no-failures none
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95

lint: $(READY) lint-openapi ## Check format and style of the code and the document
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

lint-openapi: $(READY) $(NODE_READY) ## Validate and lint openapi/operations.yaml
	$(BIN)/python -m openapi_spec_validator openapi/operations.yaml
	cd openapi && PATH="$(CURDIR)/$(BIN):$$PATH" node_modules/.bin/redocly lint operations.yaml

types: $(READY) ## Check types with mypy and pyright, strict
	$(BIN)/mypy
	$(BIN)/mypy tests/typing_api.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright

generate: $(READY) ## Regenerate generated/ and the rendered contract from the document
	$(BIN)/python openapi/generate.py
	$(BIN)/python openapi/render.py

check-generated: $(READY) ## Fail if generated/ or the rendered contract is not what the document says
	$(BIN)/python openapi/generate.py --check
	$(BIN)/python openapi/render.py --check

wheel: $(READY) ## Build the wheel and the source distribution into dist/
	@rm -rf dist
	@$(BIN)/python -m hatchling build > /dev/null
	@ls dist/*

wheel-check: $(READY) ## Build the wheel, install it alone, wait with it, weigh it
	$(BIN)/python -m tools.wheel_check

test-matrix: $(READY) ## Run the tests against the built wheel on every installed Python of the classifiers
	$(BIN)/python -m tools.matrix

contract: $(READY) ## Contract tests of a service: URL=… PROJECT=… OP=…, the secret in NEXUS_SECRET
	$(BIN)/nexus-operations contract --endpoint "$(URL)" --project "$(PROJECT)" "$(OP)"

diff-contract: $(READY) ## Show what changed in the contract since BASE=<git revision>
	$(BIN)/python openapi/diff_contract.py "$(BASE)"

check-api: $(READY) ## Fail if the public names changed incompatibly since the last tag
	$(BIN)/python -m tools.check_api

audit: $(READY) ## Look the pinned packages up in the public advisory data
	$(BIN)/uvx pip-audit --disable-pip --require-hashes -r requirements/dev.txt

mutants: $(READY) ## Mutation testing of the polling core, the errors and the transport seam
	$(BIN)/python -m tools.mutants

test-airflow: $(AIRFLOW_READY) $(AIRFLOW_LOWEST_READY) ## Test the Airflow provider: in-process, then with Airflow's real parts
	$(AIRFLOW)/bin/python -m pytest -W default tests/airflow
	$(AIRFLOW_LOWEST)/bin/python -m pytest -W default tests/airflow --ignore tests/airflow/test_stop.py
	$(AIRFLOW)/bin/python -m tests.airflow.real --check
	$(AIRFLOW)/bin/python -m tests.airflow.real --kill 12 --or-say-so

test-engines: $(ENGINES_READY) ## Run the recipes for Prefect, Dagster and Temporal in these
	$(ENGINES)/bin/python -m pytest -W default tests/engines

airflow-demo: $(AIRFLOW_READY) ## Start Airflow's real parts and show how an export is waited for
	$(AIRFLOW)/bin/python -m tests.airflow.real --demo

docs: $(READY) ## Build the documentation site into site/, warnings as errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is in site/; make docs-serve serves it, or open site/index.html"

docs-serve: $(READY) ## Serve the documentation on PORT (8000), rebuilt as it changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr 127.0.0.1:$(PORT)

screenshots: $(READY) ## Renew the pictures in docs/ from the real thing (needs Chromium)
	$(BIN)/python -m tools.screenshots

check: test lint types check-generated docs wheel-check ## All that .ci/run checks but Airflow

format: $(READY) ## Format the code and fix what can be fixed
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: $(READY) ## Renew the locks in requirements/ from pyproject.toml
	$(LOCK) --upgrade $(EXTRAS) --group dev pyproject.toml -o requirements/dev.txt
	$(LOCK) --upgrade --extra cli --extra simulator --group demo -c requirements/dev.txt pyproject.toml -o requirements/demo.txt
	$(LOCK) --upgrade --extra airflow --extra simulator --group airflow pyproject.toml -o requirements/airflow.txt
	echo 'apache-airflow==3.2.0' | $(LOCK) --extra airflow --extra simulator --group airflow -c - pyproject.toml -o requirements/airflow-lowest.txt
	$(LOCK) --upgrade --extra simulator --group engines pyproject.toml -o requirements/engines.txt

release: $(READY) check check-api wheel ## Check everything and build what is published for the version in _version.py
	@$(BIN)/python -m tools.release

clean: ## Remove what the targets made
	rm -rf $(VENV) $(DEMO) $(AIRFLOW) $(AIRFLOW_LOWEST) $(ENGINES) site mutants openapi/node_modules dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
