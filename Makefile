# Everything is installed in .venv and nowhere else. Another Python: make lab PYTHON=python3.12
PYTHON ?= python3
LESSON ?=
VENV := .venv
COLAB := .venv-colab
RUN := $(VENV)/bin/python
TORCH := $(shell grep '^torch==' requirements.lock)
# PyPI's own torch for Linux brings several GB of CUDA; elsewhere it is the CPU build already.
TORCH_INDEX := $(if $(filter Linux,$(shell uname -s)),--extra-index-url https://download.pytorch.org/whl/cpu)
CELL_SECONDS := $(shell sed -n 's/^CELL_SECONDS = \([0-9]*\).*/\1/p' tools/run_notebooks.py)
DATA = @echo "Lessons run on:" && $(RUN) -c 'from ganlib import data; print(data.load("mnist"))'
STRICT := env -u GANLIB_SEED GANLIB_STRICT=1 $(RUN)
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=$(CELL_SECONDS) --nbval-sanitize-with=tests/helpers/nbval_sanitize.cfg

.DEFAULT_GOAL := help
.PHONY: help lab colab quick test test-data test-exact test-colab browser notebooks tables bench format

help:  ## list these verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

lab: $(VENV)/.lab  ## open the lessons in JupyterLab (LESSON=04 opens lesson 04)
	$(RUN) -m jupyterlab $(firstword $(sort $(wildcard notebooks/$(LESSON)*.ipynb)) notebooks)

colab: $(VENV)/.lab  ## write copies of the lessons that need nothing beside them, for Google Colab, to colab/
	$(RUN) tools/colab.py copies colab

quick: $(VENV)/.test  ## run in a minute the checks that need no training and no kernel
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m pytest -q -m "not slow" tests

test: $(VENV)/.test  ## run every check; needs no network once it is installed
	$(DATA)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m pytest -rs --cov=ganlib tests
	$(STRICT) -m pytest -rs $(NBVAL) notebooks

# What depends on the images that are found: enough for a second data set, once `make test` has passed.
test-data: $(VENV)/.test
	$(DATA)
	$(RUN) -m pytest -rs -m data tests
	$(STRICT) -m pytest -rs $(NBVAL) $(shell grep -l 'data[.]load' notebooks/*.ipynb)

# The other lessons print exact digits.
test-exact: $(VENV)/.test
	$(STRICT) -m pytest -rs $(NBVAL) $(shell grep -L 'data[.]load' notebooks/[0-9]*.ipynb)

# Such copies, where the packages of Google Colab are and ganlib is not.
test-colab: $(VENV)/.test $(COLAB)/.made
	$(DATA)
	$(STRICT) tools/colab.py test $(COLAB)/bin/python -rs $(subst --nbval-current-env,,$(NBVAL))

browser: $(VENV)/.browser  ## look at lessons in a real browser (needs Chromium: apt-get install chromium)
	$(RUN) -m pytest -rs tests/browser

notebooks: $(VENV)/.test  ## run lessons and store their outputs (LESSON=04, or LESSON=changed since the last commit)
	$(RUN) tools/colab.py setup
	$(RUN) tools/run_notebooks.py $(LESSON)

tables: $(VENV)/.test  ## make the committed tables of long runs again (hours)
	$(RUN) tools/make_tables.py $(LESSON)

bench: $(VENV)/.test  ## measure speed: print a table, write JSON
	$(RUN) benchmarks/bench.py

format: $(VENV)/.test  ## lay out the code and mend what can be mended
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# A stamp is older than the files it depends on when they change: only then is anything installed again.
$(VENV)/.lab $(VENV)/.test $(VENV)/.browser: $(VENV)/.%: pyproject.toml requirements.lock | $(RUN)
	$(RUN) -m pip install --retries 1 --no-deps "$(TORCH)" $(TORCH_INDEX)
	$(RUN) -m pip install -c requirements.lock -e ".[$*]"
	@touch $@ $(if $(filter test browser,$*),$(VENV)/.lab) $(if $(filter browser,$*),$(VENV)/.test)

# What Colab has, but the course's own PyTorch, which is at hand.
$(COLAB)/.made: tests/helpers/colab.txt requirements.lock | $(RUN)
	$(RUN) -m venv --clear $(COLAB)
	$(COLAB)/bin/python -m pip install --retries 1 --no-deps "$(TORCH)" $(TORCH_INDEX)
	sed 's/^torch==.*/$(TORCH)/' $< >$(COLAB)/requirements.txt
	$(COLAB)/bin/python -m pip install -r $(COLAB)/requirements.txt
	@touch $@

$(RUN):
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no '$(PYTHON)' here. Install Python 3.11 or newer, or name yours: make lab PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The course needs Python 3.11 or newer, '$(PYTHON)' is $$($(PYTHON) -V 2>&1)."; \
	  echo "Name a newer one: make lab PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
