# Each target sets up what it needs: a fresh clone, Python 3.11 and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
comma := ,

.PHONY: demo test check bench docs clean

demo: $(VENV)/.demo  ## train on handwritten digits and show what comes of it
	$(BIN)/trainsignal demo

test: $(VENV)/.test  ## run the tests
	$(BIN)/python -m pytest --cov

check: $(VENV)/.check  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(VENV)/.test  ## measure speed beside its baselines (extra "bench" adds other libraries)
	$(BIN)/python -m benchmarks

docs: $(VENV)/.docs  ## API docs from the docstrings, into docs/api
	$(BIN)/pdoc --docformat google --output-directory docs/api trainsignal

$(VENV)/.demo $(VENV)/.test $(VENV)/.check $(VENV)/.docs: $(VENV)/.%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(filter test check,$*),$(BIN)/python -m pip install --quiet $(TORCH))
	$(BIN)/python -m pip install --quiet --editable ".[$*$(if $(filter demo,$*),$(comma)report)]"
	touch $@

clean:
	rm -rf $(VENV) demo-run docs/api
