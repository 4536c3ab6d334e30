# The few things one does with this project. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup opa demo test lint bench drills mutants clean

# The first Python that is new enough and can make virtual environments; name another one with PYTHON=...
# The system's own comes first: distributions build theirs with profiles, and a call costs a fifth less.
PYTHON ?= $(shell for name in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && exit; \
	done; echo python3)
BIN := .venv/bin
OPA = $$($(BIN)/python -m tollhouse.local.opa_binary)
WORKERS ?= 2

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: ## .venv with everything pinned, nothing else
	@command -v $(PYTHON) >/dev/null || { \
		echo "make setup: no $(PYTHON) here. Install Python 3.11 or newer, or name it: make setup PYTHON=..." >&2; \
		exit 1; }
	@$(PYTHON) requirements/install.py

opa: setup
	@opa=$(OPA); echo "OPA: $$opa"

demo: opa ## the story of an agent that spends money, through a real stack
	@$(BIN)/tollhouse demo

test: opa ## all tests, on real PostgreSQL, NATS and OPA, with their coverage
	@$(BIN)/coverage erase
	$(BIN)/pytest tests/unit -q --cov --cov-report=
	$(BIN)/pytest tests/contract tests/integration tests/e2e tests/faults -q -n $(WORKERS) --cov --cov-append --cov-report=
	$(BIN)/coverage report --include='treasury/*' --fail-under=100
	$(BIN)/coverage report --omit='treasury/*' --fail-under=90

lint: opa ## formatters, type checks, the rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas.events.publish --check
	$(BIN)/sqlfluff lint treasury control
	$(OPA) fmt --fail --list rego
	$(OPA) check --strict --schema schemas/decision_input.v1.json rego
	$(OPA) test --coverage --threshold 100 rego
	@if command -v regal >/dev/null; then regal lint rego; \
		else echo "regal is not on PATH: its rules were not checked"; fi

bench: opa ## the gateway beside Envoy with OPA, the ledger beside one transaction a command
	@missed=0; $(BIN)/python bench/gateway.py || missed=1; $(BIN)/python -m bench.ledger || missed=1; exit $$missed

drills: opa ## the ledger through everything that may go wrong, at full length
	TOLLHOUSE_DRILLS=1 $(BIN)/pytest tests/faults -q

mutants: setup ## changes to the ledger's rules that no test notices, counted (some minutes)
	$(BIN)/python bench/mutants.py

clean: ## remove what the targets made here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* htmlcov dist build mutants
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
