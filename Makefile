# Everything a developer needs; `make help` lists it. Each target sets up what it needs first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test lint audit chaos format bench generate clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1 \t/' | expand -t 18

setup: $(STAMP)  ## Create .venv with everything for running and developing

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --progress-bar on --constraint constraints.txt --editable '.[local,simulation,dev]'
	@touch $@

run: $(STAMP)  ## Fetch the bundled model, build its variants and serve them on http://127.0.0.1:8080
	$(BIN)/trilemma serve

test: lint  ## Run linters, types, import rules and the whole test suite
	$(BIN)/pytest

lint: $(STAMP)  ## Run ruff, mypy and import-linter, and look whether what is generated is up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest --quiet tests/charts/test_generated.py tests/test_documents.py

audit: $(STAMP)  ## Look the pinned dependencies up for known vulnerabilities
	$(BIN)/python .ci/audit.py

chaos: $(STAMP)  ## Break real processes, Redis and the database in every way of docs/reliability.md
	$(BIN)/pytest -m "chaos or not chaos" tests/chaos

format: $(STAMP)  ## Rewrite the code as the formatter wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## Measure the gateway against the worker, many streams, and the variants against each other
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/streams.py
	$(BIN)/python benchmarks/decode_speed.py

generate: $(STAMP)  ## Write anew what is made from the code: files of the chart, tables of the documents
	$(BIN)/python -m charts.generate
	$(BIN)/python -m tests.observability_tables

clean:  ## Remove the environment; built models under var/ stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
