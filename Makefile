# Needs Python >= 3.11, make and git. Everything is installed into .venv; nothing else is touched.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
# Two test processes: with one BLAS thread each they do not fight over the cores.
PYTEST  = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python

.PHONY: demo test lint types unit optimized clean
.DEFAULT_GOAL := test

# CPU builds that were tested together: constraints.txt pins them.
$(VENV)/ready-demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[all]"
	touch $@

$(VENV)/ready-dev: $(VENV)/ready-demo
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

demo: $(VENV)/ready-demo  ## a right gradient proven, a wrong one refused
	$(BIN)/gradproof demo

test: lint types unit optimized  ## everything that has to hold

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready-dev
	$(BIN)/mypy

unit: $(VENV)/ready-dev
	$(PYTEST) -m pytest -n 2 --dist loadfile

optimized: $(VENV)/ready-dev  ## the verdicts survive `python -O`, which drops every assert outside the tests (xdist does not)
	$(PYTEST) -O -m pytest -p no:xdist

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
