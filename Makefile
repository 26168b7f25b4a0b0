# Everything runs in .venv, which the first target builds from the hashed lock.
PYTHON ?= python3
AIRFLOW_PYTHON ?= $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NODE_READY := openapi/node_modules/.ready
EXTRAS := --extra cli --extra fast --extra progress --extra simulator
AIRFLOW := .venv-airflow
AIRFLOW_READY := $(AIRFLOW)/.ready
SOURCES := wrappers tests benchmarks examples openapi
# The linter of the document asks nobody for news.
export REDOCLY_TELEMETRY := off
export REDOCLY_SUPPRESS_UPDATE_NOTICE := true

.PHONY: help demo test lint types generate check-generated lint-openapi check format wheel-check contract diff-contract audit mutants test-airflow airflow-demo docs screenshots lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(READY): requirements-dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(AIRFLOW_READY): requirements-airflow.txt pyproject.toml
	test -x $(AIRFLOW)/bin/python || $(AIRFLOW_PYTHON) -m venv $(AIRFLOW)
	$(AIRFLOW)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-airflow.txt
	$(AIRFLOW)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(NODE_READY): openapi/package-lock.json $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix openapi --loglevel=error --no-audit --no-fund --ignore-scripts
	touch $@

demo: $(READY) ## Wait for operations on the embedded simulator
	$(BIN)/python examples/demo.py

test: $(READY) $(NODE_READY) ## Run all tests, with branch coverage
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n auto
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

wheel-check: $(READY) ## Build the wheel, install it alone, wait with it, weigh it
	$(BIN)/python tests/wheel_check.py

contract: $(READY) ## Contract tests of a service: URL=… PROJECT=… OP=…, the secret in NEXUS_SECRET
	$(BIN)/nexus-operations contract --endpoint "$(URL)" --project "$(PROJECT)" "$(OP)"

diff-contract: $(READY) ## Tell what changed in the contract since BASE=<git revision>
	$(BIN)/python openapi/diff_contract.py "$(BASE)"

audit: $(READY) ## Look the pinned packages up in the public advisory data
	$(BIN)/uvx pip-audit --disable-pip --require-hashes -r requirements-dev.txt

mutants: $(READY) ## Mutation testing of the polling core, the errors and the transport seam
	$(BIN)/python tests/mutants.py

test-airflow: $(AIRFLOW_READY) ## Test the Airflow provider: in-process, then with Airflow's real parts
	$(AIRFLOW)/bin/python -m pytest -W default tests/airflow
	$(AIRFLOW)/bin/python -m tests.airflow.real --check
	$(if $(wildcard /usr/lib/postgresql/*/bin/initdb),$(AIRFLOW)/bin/python -m tests.airflow.real --kill 12)

airflow-demo: $(AIRFLOW_READY) ## Start Airflow's real parts and show an export being waited for
	$(AIRFLOW)/bin/python -m tests.airflow.real --demo

docs: $(READY) ## Build the documentation site into site/, warnings as errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

screenshots: $(READY) ## Renew the pictures in docs/ from the real thing (needs Chromium)
	$(BIN)/python -m tests.screenshots

check: test lint types check-generated docs wheel-check ## All that .ci/run checks

format: $(READY) ## Format the code and mend what can be mended
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

lock: $(READY) ## Renew requirements-dev.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
		--no-header --upgrade $(EXTRAS) --group dev pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade --extra airflow --extra simulator --group airflow pyproject.toml -o requirements-airflow.txt

clean: ## Remove what the targets made
	rm -rf $(VENV) $(AIRFLOW) site mutants openapi/node_modules dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
