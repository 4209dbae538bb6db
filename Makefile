# `make` lists the targets.
PYTHON ?= python3
# whoever names a Python gets it, whoever does not the fastest build of the version that `python3` is
CHOSEN := $(if $(filter file,$(origin PYTHON)),$$($(PYTHON) deploy/local/interpreter.py),$(PYTHON))
VENV := .venv
READY := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run stop test lint bench bench-compare chaos collector clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

run: $(READY) ## bring the whole cluster up, load the example; Ctrl-C stops it
	@$(VENV)/bin/weir up

stop: $(READY) ## stop a running cluster
	@$(VENV)/bin/weir down

test: $(READY) ## all tests, against a real broker and a real store
	@$(VENV)/bin/python -m pytest

lint: $(READY) ## style, types, import rules
	@$(VENV)/bin/ruff check --no-cache .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

bench: $(READY) ## measure Weir beside the bare transport; asserts nothing; ARGS="--quick" is a smoke run
	@$(VENV)/bin/python -m tests.bench $(ARGS)

bench-compare: $(READY) ## what has changed from one run of the bench to another: A=file B=file
	@$(VENV)/bin/python -m tests.bench.compare $(A) $(B)

chaos: $(READY) ## kill each service under load, see what is lost
	@WEIR_CHAOS_ROUNDS=$${WEIR_CHAOS_ROUNDS:-3} $(VENV)/bin/python -m pytest tests/chaos -s

collector: ## build the OpenTelemetry Collector that reads the spans (wants Go; takes minutes); its tests need it
	@mkdir -p .weir/collector
	@go run go.opentelemetry.io/collector/cmd/builder@v0.165.0 --config deploy/otel/builder.yaml

clean: ## remove the virtual environment and caches, not the state
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build services/analytics/*.so

$(READY): requirements.lock pyproject.toml setup.py services/analytics/quick.c
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Weir needs Python 3.11 or newer; this is $$($(PYTHON) --version). Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(VENV)/bin/python || { python=$(CHOSEN); echo "making $(VENV)"; "$$python" -m venv $(VENV); }
	@echo "installing pinned packages; the first time takes a minute"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
