# The two commands: `make demo` and `make test`. Each makes the environment that it needs.
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)
INSTALL := $(if $(UV),uv pip install --python $(BIN)/python,$(BIN)/pip install) --quiet -c constraints.txt
# Tests wait for clusters far more than they compute, so more of them than cores run at once; the longest
# files come first by their names (conformance, e2e), so that none of them is left to run alone at the end.
JOBS ?= 6

.PHONY: demo test check bench soak field live live-kubernetes format clean

demo: .venv/ready
	$(BIN)/operator demo chaos

test: .venv/dev
	$(BIN)/pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev
	$(BIN)/python -m tests.bench

soak: .venv/dev
	$(BIN)/python -m tests.bench.soak
	$(BIN)/python -m tests.bench.service

field: .venv/dev
	$(BIN)/python -m tests.field

live: .venv/dev
	$(BIN)/python -m tests.live

live-kubernetes: .venv/dev
	OPERATOR_LIVE_CONTEXT=$(CONTEXT) $(BIN)/pytest -p no:cacheprovider -x tests/conformance -k etcd-kubernetes-live

clean:
	rm -rf .venv

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...'; exit 1; }
	@echo 'Making an environment in .venv: once, about half a minute'
ifdef UV
	@uv venv --quiet --allow-existing --python $(PYTHON) .venv
else
	@$(PYTHON) -m venv .venv && $(BIN)/pip install --quiet --upgrade 'pip>=25.1'
endif
	@$(INSTALL) -e '.[mcp]'
	@touch $@

# What the tests need on top: a demo must not wait for it.
.venv/dev: .venv/ready
	@echo 'Adding what the tests need'
	@$(INSTALL) --group dev
	@touch $@
