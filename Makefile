# Everything a newcomer needs: `make demo`, `make test`. Needs Python 3.11 or later with venv, and PyPI.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv

.PHONY: help demo test whole page lint versions fuzz bench matrix proof lock docs clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.installed: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip sync --quiet --python $(BIN)/python requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps uv --editable .
	touch $@

demo: $(VENV)/.installed ## Trace a small agent against a fake provider: no key, no network
	$(BIN)/otel-llm demo

test: $(VENV)/.installed ## Run the tests; many wait for a socket, hence more workers than cores
	$(BIN)/python -m pytest -q -m "not slow" -n 4 --reruns 1

whole: $(VENV)/.installed ## Run the tests that start other programs, the examples among them
	$(BIN)/python -m pytest -q -m slow -n 3 --reruns 2 --ignore=tests/live_page

page: $(VENV)/.installed ## Look at the live view's page with a browser (needs chromium)
	$(BIN)/python -m pytest -q tests/live_page

lint: $(VENV)/.installed ## ruff, mypy and pyright, strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright

versions: $(VENV)/.installed ## Run the scenarios on the oldest SDKs and their family; `make test` has the newest
	$(BIN)/python -m tests.matrix --oldest --family

fuzz: $(VENV)/.installed ## Compare 2,000 random programs with and without instrumentation
	OTEL_LLM_FUZZ=2000 $(BIN)/python -m pytest -q tests/scenarios/test_fuzz.py -n 2 --timeout 3600

bench: $(VENV)/.installed ## Measure against the floor and the peers; writes docs/performance.md
	$(BIN)/python -m benchmarks

matrix: $(VENV)/.installed ## Run the scenarios on every version of the SDKs, the newest releases included
	$(BIN)/python -m tests.matrix

proof: $(VENV)/.installed ## What is too long for CI: the SDKs' own tests, the long fuzz, the soak
	$(BIN)/python -m tests.proof

docs: $(VENV)/.installed ## Write the generated pages
	$(BIN)/python -m otel_llm.semconv > docs/telemetry.md
	$(BIN)/python -m otel_llm._config > docs/configuration.md
	$(BIN)/python -m otel_llm.providers.not_covered > docs/coverage.md
	$(BIN)/python deploy/grafana/dashboards.py

lock: ## Resolve requirements.lock anew
	$(UV) lock --quiet
	$(UV) export --quiet --frozen --group test --group lint --no-emit-project --no-header --no-annotate --output-file requirements.lock

clean: ## Remove what was built
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache
