# One command checks everything: `make check`. CI runs the same.
BIN ?= .venv/bin
PYTHON := $(BIN)/python

.PHONY: check format lint types layers test kernel fix

check: format lint types layers test

format:
	$(BIN)/ruff format --check .

lint:
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

layers:
	$(BIN)/lint-imports

test:
	$(BIN)/coverage erase
	$(BIN)/pytest --cov --cov-report=
	$(BIN)/coverage report --skip-covered --fail-under=90
	$(BIN)/coverage report --include='src/parlando/core/*,src/parlando/text/*,src/parlando/engine/*' --fail-under=95

fix:
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# After a change of decode.c; an installation compiles it by itself.
kernel:
	$(PYTHON) src/parlando/nn/native/build.py
