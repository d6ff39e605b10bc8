# Needs Python >= 3.11, make and git. Everything is installed into .venv; nothing else is touched.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
# Two test processes: with one BLAS thread each they do not fight over the cores.
PYTEST  = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python

.PHONY: demo test lint types unit optimized docs clean
.DEFAULT_GOAL := test

# CPU builds that were tested together: constraints.txt pins them.
$(VENV)/ready-demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[all]"
	touch $@

$(VENV)/ready-dev: $(VENV)/ready-demo
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

# For the tests of the HTML report: the system's, Debian's where that may be installed, else Playwright's own.
# Without any of them those tests are skipped, and say so.
$(VENV)/ready-browser: $(VENV)/ready-dev
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	|| $(BIN)/python -m playwright install chromium \
	|| echo "no browser could be installed: the tests of the HTML report will be skipped"
	touch $@

demo: $(VENV)/ready-demo  ## a right gradient proven, a wrong one refused
	$(BIN)/gradproof demo

test: lint types docs unit optimized  ## everything that has to hold

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready-dev
	$(BIN)/mypy

unit: $(VENV)/ready-browser
	$(PYTEST) -m pytest -n 2 --dist loadfile

# Views, documents, workers and the command line decide nothing: they are not run a second time.
VIEWS = workers sweep progress guard html json plots terminal cli plugin config commands docs examples readme benchmarks bench proving diagnosis_regressions
# Of ports, bars, pairs and verdicts are.
PORTS = causes causes_others causes_shared cli files filled functions html jax jax_equinox jax_flax json layout layout_behaviour layout_frameworks layout_values planted terminal torch zoo

optimized: $(VENV)/ready-dev  ## the verdicts survive `python -O`, which drops every assert outside the tests (xdist does not)
	$(PYTEST) -O -m pytest -p no:xdist $(VIEWS:%=--ignore=tests/test_%.py) $(PORTS:%=--ignore=tests/test_port_%.py)

docs: $(VENV)/ready-dev  ## the pages, warnings as errors
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

clean:
	rm -rf $(VENV) docs/_build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
