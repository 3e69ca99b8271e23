# The two commands: `make demo` and `make test`. Each makes the environment that it needs.
PYTHON ?= python3
BIN := .venv/bin
# Tests wait for clusters far more than they compute, so more of them than cores run at once; the longest
# files come first by their names (conformance, e2e), so that none of them is left to run alone at the end.
JOBS ?= 3

.PHONY: demo test check bench soak live format clean

demo: .venv/ready
	$(BIN)/operator demo chaos

test: .venv/ready
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/ready
	$(BIN)/python -m tests.bench

soak: .venv/ready
	$(BIN)/python -m tests.bench.soak

live: .venv/ready
	$(BIN)/python -m tests.live

clean:
	rm -rf .venv

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...'; exit 1; }
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
	  uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[mcp]' --group dev; \
	else \
	  $(PYTHON) -m venv .venv && \
	  $(BIN)/pip install --quiet --upgrade 'pip>=25.1' && \
	  $(BIN)/pip install --quiet -c constraints.txt -e '.[mcp]' --group dev; \
	fi
	@touch $@
