# Everything one does with a checkout. It all lives in .venv; re-running is fast because of the stamp files there.

PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(if $(shell $(p) -c 'import sys; print("yes" if sys.version_info >= (3, 11) else "")' 2>/dev/null),$(p))))
BIN := .venv/bin
# uv does not read pip's settings: an index of your own that pip knows is handed on. INSTALL='$(BIN)/python -m pip install' works too.
INDEX = $$($(BIN)/python -m pip config list 2>/dev/null | sed -n "s/^[^=]*\.index-url='\(.*\)'$$/\1/p" | head -1)
UV = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$(INDEX)}" $(BIN)/uv
INSTALL ?= $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python
ARGS ?=
# Every file that is larger with CORE_FAULTS=1: by itself, or by the number of its examples.
FAULTS = tests/faults tests/unit/integrations $(shell grep -rlE 'CORE_FAULTS|hypothesis' tests plugins --include='test_*.py' | grep -v ^tests/faults)
# The part of it that needs neither engine nor cloud: runs, workers, stores.
RUNS = $(addprefix tests/faults/test_,kills.py matrix.py sleep.py stores.py) tests/integration/test_limits.py $(filter-out tests/unit/integrations,$(filter tests/unit/%,$(FAULTS)))
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))

.PHONY: quickstart resilience test test-faults test-faults-runs check bench docs dist clean lock format help

help:
	@echo "make quickstart        set up, then run the example training pipeline"
	@echo "make resilience        set up, then watch runs being killed, and going on"
	@echo "make test              set up, then run the whole suite (ARGS='-k name' to choose)"
	@echo "make test-faults       the whole table of faults, and all that is small in 'make test' at its full size (a quarter of an hour)"
	@echo "make test-faults-runs  the part of it that needs neither engine nor cloud (five minutes)"
	@echo "make check             ruff, mypy, import-linter"
	@echo "make format            let ruff lay out the code"
	@echo "make bench             measure every budget: a table, and benchmarks/results.json"
	@echo "make docs              write again what is generated in docs/"
	@echo "make dist              build sdist and wheel of core and a wheel of every plugin into dist/"
	@echo "make lock              pin what is installed to the newest releases"
	@echo "make clean             remove what the other targets made, .venv included"

quickstart: .venv/example.stamp
	@test -e .core/.gitignore || $(BIN)/core init
	$(BIN)/python examples/training/run.py --training-pipeline
	@cat examples/training/next.txt

resilience: .venv/example.stamp
	@$(BIN)/python examples/resilience/run.py

test: .venv/dev.stamp
	$(BIN)/python -m pytest -n auto $(ARGS)

check: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/dev.stamp
	$(BIN)/python -m benchmarks $(ARGS)

docs: .venv/dev.stamp
	$(BIN)/python docs/cli.py
	$(BIN)/python docs/picture.py
	$(BIN)/python docs/story.py

dist: .venv/bin/uv
	@rm -rf dist
	@$(UV) build --quiet --out-dir dist
	@for plugin in $(PLUGINS); do $(UV) build --quiet --wheel --out-dir dist $$plugin || exit 1; done
	@rm -f dist/.gitignore
	@ls dist

test-faults: .venv/dev.stamp
	CORE_FAULTS=1 $(BIN)/python -m pytest -n auto $(FAULTS) $(ARGS)

test-faults-runs: .venv/dev.stamp
	CORE_FAULTS=1 $(BIN)/python -m pytest -n auto $(RUNS) $(ARGS)

lock: .venv/bin/uv
	$(BIN)/uv lock --upgrade --quiet
	mkdir -p requirements
	$(BIN)/uv export --quiet --no-header --no-annotate --no-emit-workspace --no-default-groups --group example -o requirements/example.txt
	$(BIN)/uv export --quiet --no-header --no-annotate --no-emit-workspace --all-groups --all-extras -o requirements/dev.txt

clean:
	rm -rf .venv .core dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage uv.lock

.venv/bin/uv:
	@test -n "$(PYTHON)" || { echo "core needs Python 3.11 or newer: install one, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check uv

.venv/example.stamp: requirements/example.txt pyproject.toml | .venv/bin/uv
	@echo "installing core and what the example needs into .venv"
	@$(INSTALL) --require-hashes -r requirements/example.txt
	@$(INSTALL) --no-deps -e .
	@touch $@

.venv/dev.stamp: requirements/dev.txt pyproject.toml $(wildcard plugins/*/pyproject.toml) | .venv/bin/uv
	@echo "installing core and what its tests need into .venv"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@$(INSTALL) --no-deps -e . $(foreach plugin,$(PLUGINS),-e $(plugin))
	@touch $@ .venv/example.stamp
