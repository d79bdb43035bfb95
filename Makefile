# Each target sets up what it needs. `make demo` is the default benchmark, `make test` the tests.

PYTHON ?= python3
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake --cores all --nolock --rerun-incomplete --show-failed-logs

.PHONY: demo test lint format clean
.DELETE_ON_ERROR:

demo: .venv/ready ## run config.yaml to results/report.html
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) && echo "The report is results/report.html, the numbers are results/metrics.tsv."

test: .venv/ready ## run the tests
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest

lint: .venv/ready ## check style and the workflow's shape; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/clang-format --dry-run --Werror csrc/*
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint

format: .venv/ready ## put everything into the style that lint checks
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile workflow
	$(BIN)/clang-format -i csrc/*

# The packages are exactly those of the lock file; the extension is built with the locked tools.
.venv/ready: requirements.lock pyproject.toml setup.py $(wildcard csrc/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "srctrace needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: lock
lock: ## resolve pyproject.toml again into requirements.lock
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --all-extras --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --upgrade --quiet --output-file requirements.lock pyproject.toml

clean: ## remove what runs have made, but not .venv
	rm -rf data/builtin results .snakemake
