# The commands of this project; `make` alone lists them.
PYTHON ?= python3
PROFILE ?= mini
VENV ?= .venv
PY := $(VENV)/bin/python
SNAKEMAKE := $(PY) -m snakemake --cores all --config profile=$(PROFILE) --
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=3000 \
	--nbval-sanitize-with tests/nbval_sanitize.cfg

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help venv runs chapters guard book pdf test rehearsal slurm browser nbval lint bench clean distclean

help:  ## Print this list
	@echo "Usage: make TARGET [PROFILE=mini|full|paper] [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

venv: $(VENV)/.installed  ## Make .venv and install the pinned environment

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -c constraints.txt -e '.[dev]'
	@touch $@

# Here one pool of processes computes them, and not a process for each, which would start for
# seconds; on a cluster each is a job of the workflow (profiles/slurm).
runs: venv  ## Compute every run that the chapters need and that is not there yet
	$(PY) -m cgnlib run --profile $(PROFILE) all

chapters: runs  ## Execute the chapters that are not up to date, after the runs they need
	$(SNAKEMAKE) chapters

guard: venv  ## Refuse stale, failed or never-run notebooks
	$(PY) book/_press/guard.py

book: runs  ## Runs, chapters, and the whole book, strictly built into _build/html
	$(SNAKEMAKE) book
	@echo "The book is at _build/html/index.html"

pdf: runs  ## Print the book with Chromium into _build/html/cgn-book.pdf, linked from its first page
	$(SNAKEMAKE) pdf

test: venv  ## Run the tests, the files spread over two processes
	$(PY) -m pytest -n 2 --dist loadfile

rehearsal: venv  ## Carry random numbers in place of PROFILE=full|paper's to the last page
	$(PY) -m pytest -m rehearsal -k $(if $(filter mini,$(PROFILE)),"full or paper",$(PROFILE))

slurm: runs  ## Test the workflow on a Slurm cluster of one node, which root may install here
	$(PY) -m pip install -q -c constraints.txt -e '.[dev,slurm]'
	$(PY) -m pytest -m slurm

browser: book  ## Open every page of the built book in Chromium, and use the composer
	$(PY) -m pip install -q -c constraints.txt -e '.[dev,browser]'
	$(PY) -m pytest -m browser

nbval: runs guard  ## Run every committed notebook again and compare its outputs
	notebooks=$$($(PY) book/_press/execute.py --list) && \
		$(PY) -m pytest -p no:cacheprovider $(NBVAL) $$notebooks

lint: venv  ## Check the code with ruff, and the types of what is declared and run with mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: venv  ## Time the parts that decide how long a run takes
	$(PY) benchmarks/bench.py

clean:  ## Remove what builds leave behind; runs and data stay
	rm -rf _build build .mypy_cache .pytest_cache .ruff_cache .snakemake *.egg-info
	rm -f *.failed.ipynb book/*.failed.ipynb
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean  ## Remove .venv as well; runs and data stay
	rm -rf $(VENV)
