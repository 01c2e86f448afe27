# `make demo` and `make test` need only git, make and Python >= 3.11; everything else goes into .venv.
# `make quick` leaves out the slow tests. `make test-real MODELS=models DATA=data` compares real models with transformers.
# `make docs` makes the documentation's site, .site/html/index.html.
# `make bench` also makes an environment for each peer, in .bench; BENCH="--rounds 1" passes options.
PYTHON ?= python3
BIN := .venv/bin

PEERS := $(patsubst %,.bench/%/installed,tunix trl)

MODELS ?= models
DATA ?= data

.PHONY: demo test quick test-real install bench docs
.DELETE_ON_ERROR:

demo: install
	$(BIN)/cooper demo

install: .venv/installed

test: SELECTED :=
quick: SELECTED := -m "not slow"
test quick: .venv/tested-with
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pytest --numprocesses auto --maxprocesses 8 --dist worksteal --durations 10 $(SELECTED)

test-real: .venv/tested-with
	$(BIN)/pytest -m real -rs --durations 10 --models "$(MODELS)" --data "$(DATA)" tests/test_real.py

docs: .venv/tested-with
	$(BIN)/python docs/site.py

bench: install $(PEERS)
	$(BIN)/python benchmarks/compare.py $(BENCH)

$(PEERS): .bench/%/installed: benchmarks/peers/%.txt | .venv/installed
	$(PYTHON) -m venv .bench/$*
	.bench/$*/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: $(PYTHON) is Python " + sys.version.split()[0] + "; cooper_jax needs 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/tested-with: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@
