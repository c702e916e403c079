# One command checks everything: `make check`. CI runs the same.
BIN ?= .venv/bin
PYTHON := $(BIN)/python

.PHONY: check format lint types layers test agents kernel fix

check: format lint types layers test

format:
	$(BIN)/ruff format --check .

lint:
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

layers:
	$(BIN)/lint-imports

# Two processes with a thread each are quicker than one with two; a file's tests stay together and share their fixtures.
test:
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=
	$(BIN)/coverage report --skip-covered --fail-under=90
	$(BIN)/coverage report --include='src/parlando/core/*,src/parlando/text/*,src/parlando/engine/*' --fail-under=95

# LiveKit's and Pipecat's plugins pin older libraries than ours: they go into an environment of their own, in front of ours.
AGENTS ?= .venv-agents
PACKAGES := import sysconfig; print(sysconfig.get_path('purelib'))
agents:
	$(PYTHON) -m venv $(AGENTS)
	$(AGENTS)/bin/pip install -qq -r tests/serve/agents.txt
	$(PYTHON) -c "$(PACKAGES)" > "$$($(AGENTS)/bin/python -c "$(PACKAGES)")/ours.pth"
	PYTHONPATH=src PARLANDO_AGENTS=1 $(AGENTS)/bin/python -m pytest tests/serve/test_agents.py

fix:
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# After a change of the C in nn/native; an installation compiles it by itself.
kernel:
	$(PYTHON) src/parlando/nn/native/build.py
