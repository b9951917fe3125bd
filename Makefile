# Everything runs from a checkout: a target first makes .venv where it is missing or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Not for `make bench`: what is imported by others, and what needs root and most of an hour.
HELPERS := $(addprefix experiments/benchmarks/,common.py note10.py tables.py arm64.py arm64_root.py trained.py) \
	$(wildcard $(addprefix experiments/benchmarks/,latency_*.py *_summary.py *_tables.py))
BENCHMARKS := $(filter-out $(HELPERS),$(sort $(wildcard experiments/benchmarks/*.py)))

.PHONY: help setup demo test test-arm64 check bench tables constraints clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 14

setup: $(INSTALLED) ## Make .venv and install the project with its development tools

$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED) ## From scikit-learn's digits to measured, exported networks in runs/digits
	$(BIN)/nas run experiments/configs/digits.yaml

check: $(INSTALLED) ## Lint, format, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## Everything that must hold: check, then every test, two at a time
	$(BIN)/pytest -n 2 --dist worksteal

test-arm64: $(INSTALLED) ## As root on Debian: the agent on an emulated aarch64, made in build/arm64
	HWNAS_ARM64=1 $(BIN)/pytest -rs tests/experiments/test_arm64.py

bench: $(INSTALLED) ## Every benchmark, a short run each, into build/benchmarks
	@failed=""; for script in $(BENCHMARKS); do \
	  echo "== $$script"; $(BIN)/python $$script --quick || failed="$$failed $$script"; \
	done; test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

tables: $(INSTALLED) ## The tables of README and the guide
	$(BIN)/python experiments/benchmarks/tables.py

constraints: $(INSTALLED) ## Pin what is installed now
	$(BIN)/python .ci/constraints.py > constraints.txt.new && mv constraints.txt.new constraints.txt

clean: ## Remove what the tools leave behind; the environment and runs stay
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
