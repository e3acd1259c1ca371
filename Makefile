# vijax: `make` lists the targets. Each makes .venv by itself when it is missing or older than
# pyproject.toml and its constraints. Another Python beside it, or the lowest versions:
#   make test PYTHON=python3.13 VENV=.venv-3.13
#   make test CONSTRAINTS=constraints-lowest.txt VENV=.venv-lowest
PYTHON ?= python3
DATASET ?= auto
SEED ?= 0
ARGS ?=

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The newest versions differ: the last JAX, NumPy and SciPy for 3.11 are older than for 3.12.
SERIES := $(shell $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -c \
  'import sys; print("3.11" if sys.version_info < (3, 12) else "3.12")' 2>/dev/null)
CONSTRAINTS ?= constraints-$(or $(SERIES),3.12).txt
PIP := python -m pip --disable-pip-version-check
EVERYTHING := '.[dev,experiments]'
LECTURE_IMAGES := autoencoder vae use-cases
LECTURE := bayes-theorem coin-flip poisson-sensors prior-sweep elbo vi-vs-mcmc $(LECTURE_IMAGES)
BEYOND_IMAGES := anomaly-detection compression generation iwae learned-priors
BEYOND := limit-coverage workflow template-fit verdict-benchmark advi-benchmark posterior-gallery \
  $(BEYOND_IMAGES)
WITH_IMAGES := $(LECTURE_IMAGES) $(BEYOND_IMAGES)
EXPERIMENTS := $(LECTURE) $(BEYOND)
DOCS := .venv-docs
BENCHMARKS := special intervals sweep logistic_regression posteriordb vae convolutions template_fits
PEERS := .venv-peers
ARVIZ := .venv-arviz

.DEFAULT_GOAL := help
.PHONY: help setup lecture report test test-thorough test-examples test-all test-arviz lint format dist docs docs-serve bench vi-benchmark constraints clean $(EXPERIMENTS)

help:  ## list the targets
	@echo "make TARGET [DATASET=auto|digits|mnist|fashion_mnist|FILE] [SEED=0] [ARGS='--more options']"
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  \1\t/' | expand -t 20
	@echo "one experiment:"
	@for name in $(EXPERIMENTS); do \
	  file=$$(echo $$name | tr - _).py; \
	  line=$$(sed -n '1s/^"""//p' experiments/lecture/$$file experiments/beyond/$$file 2>/dev/null | sed 's/"""$$//'); \
	  printf '  %-17s %s\n' "$$name" "$$line"; done

$(READY): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "vijax needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/$(PIP) install --quiet -c $(CONSTRAINTS) -e $(EVERYTHING)
	@touch $@

setup: $(READY)  ## make .venv with everything in it

lecture: $(READY)  ## run the whole lecture and write results/report.html
	@$(BIN)/python -m experiments.lecture --dataset '$(DATASET)' --seed $(SEED) $(ARGS)

$(LECTURE): FOLDER = lecture
$(BEYOND): FOLDER = beyond
$(EXPERIMENTS): $(READY)
	@$(BIN)/python -m experiments.$(FOLDER).$(subst -,_,$@) \
	  $(if $(filter $@,$(WITH_IMAGES)),--dataset '$(DATASET)') --seed $(SEED) $(ARGS)

report: $(READY)  ## write results/report.html again from the results that are there
	@$(BIN)/python -m experiments.report $(ARGS)

# Most of the time of the tests is compilation. Less optimisation halves it, and one process
# for the files of a folder shares it (conftest.py). The slow ones compile as users do. Each core
# has a process already: more threads of BLAS in each would only wait for one another.
test test-thorough test-examples test-all: export OPENBLAS_NUM_THREADS = 1
PYTEST := -m pytest -q -n auto --dist loadfile --no-loadscope-reorder
QUICK := --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false \
  --xla_cpu_parallel_codegen_split_count=1
test: TESTS = tests README.md
test-thorough: TESTS = tests -m 'thorough and not slow'
test-examples: TESTS = vijax
test: $(READY)  ## run the tests (a few minutes)
test-thorough: $(READY)  ## run the tests that `make test` leaves out as longer, which CI does too
test-examples: $(READY)  ## run the examples in the docstrings, which CI does too
test test-thorough test-examples:
	@XLA_FLAGS="$$XLA_FLAGS $$($(BIN)/python tests/xla_flags.py $(QUICK))" \
	  $(BIN)/python $(PYTEST) $(TESTS) $(ARGS)

test-all: test test-thorough test-examples  ## run these three, and the slow tests
	@$(BIN)/python $(PYTEST) -m slow $(ARGS)

$(ARVIZ)/.ready: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(ARVIZ)
	$(ARVIZ)/bin/$(PIP) install --quiet -c $(CONSTRAINTS) -e '.[arviz,enum,experiments,plot]' beartype pytest
	@touch $@

test-arviz: $(ARVIZ)/.ready  ## test the export to ArviZ, in a .venv-arviz of its own
	@$(ARVIZ)/bin/python -m pytest -q -m '' tests/vi/after/test_arviz.py $(ARGS)

lint: $(READY)  ## check format, style, types and the direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY)  ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

$(DOCS)/.ready: pyproject.toml $(CONSTRAINTS) docs/constraints.txt
	$(PYTHON) -m venv $(DOCS)
	grep -vE '^(docutils|markdown-it-py)==' $(CONSTRAINTS) > $(DOCS)/constraints.txt
	$(DOCS)/bin/$(PIP) install --quiet -c $(DOCS)/constraints.txt -c docs/constraints.txt -e '.[docs]'
	@touch $@

docs: $(DOCS)/.ready  ## build the documentation in site/; code cells that are unchanged keep their outputs
	@PATH="$(CURDIR)/$(DOCS)/bin:$$PATH" $(DOCS)/bin/python -m sphinx --jobs auto --fail-on-warning --keep-going --quiet \
	  --doctree-dir build/docs/doctrees docs build/docs/html $(ARGS)
	rm -rf site && cp -r build/docs/html site
	@echo "open site/index.html, or: make docs-serve"

docs-serve: docs  ## build the documentation and show it at http://localhost:8000
	@$(DOCS)/bin/python -m http.server --bind localhost --directory site 8000

dist: $(READY)  ## build the wheel and the source distribution in dist/, and check them
	rm -rf dist build
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*

$(PEERS)/.ready: experiments/benchmarks/requirements.txt $(READY)
	$(PYTHON) -m venv $(PEERS)
	grep -v '^mpmath==' $(CONSTRAINTS) > $(PEERS)/constraints.txt  # torch takes an older one
	$(PEERS)/bin/$(PIP) install --quiet -c $(PEERS)/constraints.txt -r $<
	@touch $@

vi-benchmark: $(READY)  ## is the verdict right? four families on models with known answers (hours)
	$(BIN)/python -m experiments.benchmarks.verdicts $(ARGS)

bench: $(PEERS)/.ready  ## measure vijax beside its peers, in a .venv-peers of their own
	@status=0; for name in $(BENCHMARKS); do \
	  $(PEERS)/bin/python -m experiments.benchmarks.$$name || status=1; done; exit $$status

constraints:  ## renew the constraints of this Python from the newest versions
	rm -rf $(VENV)-new && $(PYTHON) -m venv $(VENV)-new
	$(VENV)-new/bin/$(PIP) install --quiet -e $(EVERYTHING)
	{ sed -n '/^#/p' $(CONSTRAINTS); $(VENV)-new/bin/$(PIP) freeze --exclude-editable; } > $(CONSTRAINTS).new
	mv $(CONSTRAINTS).new $(CONSTRAINTS) && rm -rf $(VENV)-new

clean:  ## remove results, caches and the environments
	rm -rf results dist build site docs/api docs/_notebooks $(VENV) $(VENV)-new $(PEERS) $(ARVIZ) $(DOCS) *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
