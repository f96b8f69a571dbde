# The commands of this project; `make` alone lists them.
PYTHON ?= python3
PROFILE ?= mini
VENV ?= .venv
PY := $(VENV)/bin/python
INSTALLER ?= uv
SNAKEMAKE := $(PY) -m snakemake --cores all --config profile=$(PROFILE) --
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=3000 \
	--nbval-kernel-startup-timeout=600 --nbval-sanitize-with tests/nbval_sanitize.cfg

MARKS := _build/chapters/$(PROFILE)

# What a user has set for all of Snakemake or Python changes nothing here (nor do the settings that
# book/_press/surroundings.py keeps away from pages).  In a container there may be no home, none
# that can be written to, and no name: all that asks for these then gets some.
unexport SNAKEMAKE_PROFILE PYTHONWARNINGS PYTHONOPTIMIZE PYTHONSTARTUP BASH_ENV
# uv leaves it to Python to compile modules; at every start anew, those of torch take it 20 seconds.
unexport PYTHONDONTWRITEBYTECODE
ifneq ($(shell [ -d "$$HOME" ] || { mkdir -p _build/home && echo none; }),)
export HOME := $(CURDIR)/_build/home
endif
ifneq ($(shell c="$${XDG_CACHE_HOME:-$$HOME/.cache}"; [ -e "$$c" ] || c=$$(dirname "$$c"); \
	[ -d "$$c" ] && [ -w "$$c" ] || echo none),)
export XDG_CACHE_HOME := $(CURDIR)/_build/cache
endif
export LOGNAME := $(or $(LOGNAME),$(USER),$(shell id -un 2>/dev/null),u$(shell id -u))

# uv takes seconds where pip takes minutes; what the environment tells pip of places, it hears too.
# Where uv is not to be had, or does not succeed, pip installs the same pins.
PINNED := install -c constraints.txt -e
comma := ,
EXTRAS := archive browser editor slurm
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_EXTRA_INDEX_URL
export UV_INDEX ?= $(PIP_EXTRA_INDEX_URL)
endif
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(subst $() ,$(comma),$(PIP_FIND_LINKS))
endif
install = { [ "$(INSTALLER)" = uv ] && $(PY) -m pip install -q -c constraints.txt uv && \
	$(PY) -m uv pip $(PINNED) $(1); } || $(PY) -m pip $(PINNED) $(1)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help venv extras runs chapters edit guard book pdf archive test long rehearsal slice slurm browser nbval lint bench clean distclean

help:  ## Print this list
	@echo "Usage: make TARGET [PROFILE=mini|full|paper] [PYTHON=python3.12] [INSTALLER=uv|pip]"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

venv: $(VENV)/.installed  ## Make .venv and install the pinned environment

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
		{ echo "Python 3.11 to 3.14 is needed; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(call install,'.[dev]')
	@touch $@

# What only some targets need, each once.
$(VENV)/.with-%: $(VENV)/.installed
	$(call install,'.[dev$(comma)$*]')
	@touch $@

extras: $(EXTRAS:%=$(VENV)/.with-%)  ## Install what edit, archive, browser and slurm need as well

# Here one pool of processes computes them, and not a process for each, which would start for
# seconds; on a cluster each is a job of the workflow (profiles/slurm).
runs: venv  ## Compute every run that the chapters need and that is not there yet
	$(PY) -m cgnlib run --profile $(PROFILE) all

chapters: runs  ## Execute the chapters that are not up to date, after the runs they need
	$(SNAKEMAKE) chapters

edit: $(VENV)/.with-editor  ## Open the chapters in JupyterLab, text and outputs as one notebook
	$(PY) book/_press/surroundings.py jupyter-lab --allow-root

guard: venv  ## Refuse stale, failed or never-run notebooks
	$(PY) book/_press/guard.py

book: runs  ## Runs, chapters, and the whole book, strictly built into _build/html
	$(SNAKEMAKE) book
	@echo "The book is at _build/html/index.html"

pdf: runs  ## Print the book with Chromium into _build/html/cgn-book.pdf, linked from its first page
	$(SNAKEMAKE) pdf

archive: pdf $(VENV)/.with-archive  ## Pack book, records, weights and provenance into one zip, for Zenodo and the like
	$(PY) book/_press/archive.py --profile $(PROFILE)

test: venv  ## Run the tests, the files spread over two processes
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

long: venv  ## Run the tests that are long by nature: hundreds of kills, the paper's sizes
	$(PY) -m pytest -n 2 -m long

rehearsal: venv  ## Carry every run of PROFILE, at its smallest, to the last page
	$(PY) book/_press/rehearse.py $(PROFILE)

slice: venv  ## Rehearse full and paper with one run of each kind, numbers drawn for the others
	$(PY) -m pytest -m rehearsal -n 2

slurm: runs $(VENV)/.with-slurm  ## Test the workflow on a Slurm cluster of one node, which root may install here
	$(PY) -m pytest -m slurm

browser: book extras  ## Open the built book in Chromium, draw and paint, and a chapter in JupyterLab
	$(PY) -m pytest -m browser

# What says the same is up to date: `book` does not execute it once more.
nbval: runs guard  ## Run every committed notebook again and compare its outputs
	notebooks=$$($(PY) book/_press/execute.py --list) && \
		$(PY) book/_press/surroundings.py pytest -p no:cacheprovider $(NBVAL) $$notebooks && \
		mkdir -p $(MARKS) && (cd $(MARKS) && basename -s .ipynb $$notebooks | xargs touch)

lint: venv  ## Check the code with ruff, and the types of what is declared and run with mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: venv  ## Time the parts that decide how long a run takes
	$(PY) benchmarks/bench.py

clean:  ## Remove what builds leave behind; runs and data stay
	rm -rf _build build .mypy_cache .pytest_cache .ruff_cache .snakemake *.egg-info
	rm -f *.failed.* book/*.failed.*
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean  ## Remove .venv as well; runs and data stay
	rm -rf $(VENV)
