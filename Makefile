# `make run` and `make test` are the two commands; `make help` lists the rest.
#
# Settings of `make run`: HOST, PORT, MODEL, MODELS_DIR, CACHE_DIR, ARGS (more flags of `dashapp serve`),
# or the DASHAPP_* variables of the environment. TORCH_INDEX, when given, is one more package index for pip.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH_INDEX ?=
TEST_FLAGS ?=
BENCH_FLAGS ?=

# A thread that spins while it waits makes everything else on a shared machine many times slower.
export OMP_WAIT_POLICY ?= passive

PIP_INSTALL = PYTHONUNBUFFERED=1 $(BIN)/python -m pip install --progress-bar off --disable-pip-version-check -c constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url "$(TORCH_INDEX)")
# Of what pip prints, the line for each package that it fetches, and what it ended with; errors are on the other stream.
PACKAGE_LINES = | { grep --line-buffered -E '^ *(Downloading|Using cached|Installing|Successfully)' || true; }

# flag(NAME,--option): only what was typed after `make` counts, for shells export a HOST of their own.
flag = $(if $(findstring command,$(origin $(1))),$(2) "$($(1))")
SERVE_FLAGS = $(call flag,HOST,--host) $(call flag,PORT,--port) $(call flag,MODEL,--model) \
	$(call flag,MODELS_DIR,--models-dir) $(call flag,CACHE_DIR,--cache-dir) $(ARGS)

.PHONY: help
help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 18

.PHONY: run
run: $(VENV)/.run-installed ## start the app on http://127.0.0.1:8050
	@exec $(BIN)/python -m dashapp serve $(SERVE_FLAGS)

.PHONY: test
test: $(VENV)/.test-installed ## check and test everything but the slow suite
	@$(BIN)/python scripts/run_tests.py $(TEST_FLAGS)

.PHONY: test-all
test-all: $(VENV)/.test-installed ## the same with the slow suite
	@$(BIN)/python scripts/run_tests.py --slow $(TEST_FLAGS)

.PHONY: lint
lint: $(VENV)/.test-installed ## check format, lint and types only
	@$(BIN)/python scripts/run_tests.py --only format,lint,types

.PHONY: format
format: $(VENV)/.test-installed ## rewrite the code in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(VENV)/.test-installed ## time the engine beside Hugging Face's; BENCH_FLAGS="--clock cpu --threads 1 --write"
	@$(BIN)/python -m benchmarks $(BENCH_FLAGS)

.PHONY: image-smoke
image-smoke: ## build the container image, run it, open a page (docker or buildah)
	scripts/container_smoke.sh

.PHONY: clean
clean: ## remove the virtual environment and the caches
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A venv without pip is half made (python3-venv was missing, or somebody pressed Ctrl-C): make it again.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "The app needs Python 3.11 or newer and $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run-installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing into $(VENV) (minutes the first time; torch is most of it)"
	@set -o pipefail; $(PIP_INSTALL) -e . $(PACKAGE_LINES)
	@touch $@

$(VENV)/.test-installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing into $(VENV) (minutes the first time; torch is most of it)"
	@set -o pipefail; $(PIP_INSTALL) -e '.[scale,test]' $(PACKAGE_LINES)
	@touch $@ $(VENV)/.run-installed
