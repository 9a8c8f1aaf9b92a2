# The two commands of a newcomer are `make demo` and `make test`; `make check` is the whole gate.
PYTHON ?= python3
ENV := .venv
BIN := $(ENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMP := $(ENV)/.installed

.PHONY: env demo test check format docs lock bench bench-submit screenshots chaos clean

env: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Postwright needs Python 3.11 to 3.13; name one: make demo PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(ENV)
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: env
	$(BIN)/postwright demo $(ARGS)

# Files are shared out among the workers in the order of tests/conftest.py.
test: env
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -o console_output_style=classic
endif

check: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_docs.py --check
	$(BIN)/python -m postwright.api.openapi --check
	$(BIN)/python scripts/generate_client.py --check
	$(BIN)/python scripts/translations.py --check
	$(BIN)/python scripts/check_lock.py
	$(BIN)/python scripts/check_wheel.py

format: env
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: env
	$(BIN)/python scripts/generate_docs.py
	$(BIN)/python -m postwright.api.openapi
	$(BIN)/python scripts/generate_client.py

lock: env
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --constraint requirements.lock --extra multibuffer --group dev pyproject.toml \
		--output-file requirements-dev.lock

bench: env
	$(BIN)/python benchmarks/send.py --series $(ARGS)

bench-submit: env
	$(BIN)/python benchmarks/submit.py $(ARGS)

screenshots: env
	$(BIN)/python scripts/screenshots.py $(ARGS)

# Fifty rounds, each one kill -9, of each of four: the processes that send (SQLite and PostgreSQL in turns, five kills
# in the course of a send), those that take mail from clients (likewise), the tracking role, and webhooks. The tests are
# dealt out one by one to as many workers as there are cores and one; at the end stands what was killed and kept.
chaos: env
	CHAOS_ROUNDS=50 $(BIN)/python -m pytest tests/chaos -m chaos -n auto $(ARGS)

clean:
	rm -rf $(ENV) postwright-demo
