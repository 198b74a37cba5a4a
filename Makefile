# Developer's entry points. Bare `make` lists them. Everything is installed into $(VENV), from hashed locks.

VENV ?= .venv
PYTHON ?= python3
TEST_ARGS ?=
FUZZ_SECONDS ?= 300

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
LOCKED := $(PIP) install --quiet --require-hashes --use-pep517 --no-build-isolation
SOURCES := attendance config daemon drivers scoring sync
COVERAGE_FLOOR := 90

export PYTHONSAFEPATH := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check interop fuzz documents static wheel bench benchall lock clean debian-venv debian-test debian-interop

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

demo: $(VENV)/.runtime ## run the whole system on this machine, with simulated terminals
	$(BIN)/hadir demo

test: debian-test $(VENV)/.dev ## run every test, with a real Mosquitto and a real PostgreSQL
	$(BIN)/python -m pytest $(TEST_ARGS)

check: debian-test static wheel ## what must hold before a merge: format, lint, types, layers, tests, wheel
	$(BIN)/python -m pytest --cov --cov-report=term --cov-fail-under=$(COVERAGE_FLOOR) $(TEST_ARGS)

interop: debian-interop $(VENV)/.dev .interop/.made ## have clients by others (npm, PyPI) read the simulated terminals
	$(BIN)/python -m pytest tests/interop $(TEST_ARGS)

fuzz: .fuzz/.made ## feed every decoder with garbage that follows its branches, FUZZ_SECONDS for each group
	devtools/fuzz .fuzz/venv/bin/python $(FUZZ_SECONDS)

documents: $(VENV)/.dev ## make the tables of docs/firmware.md and docs/drivers.md from what the tests run on
	devtools/documents $(BIN)/python

static: $(VENV)/.dev ## format, lint, types and layers only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

wheel: $(VENV)/.dev ## build the wheel, install it elsewhere and start it from an empty directory
	devtools/try_wheel $(BIN)/python

bench: debian-test $(VENV)/.runtime ## measure reading, polling, a fleet and the whole path, in a few minutes
	$(BIN)/python bench/read_log.py --records 100000 --runs 3
	$(BIN)/python bench/poll.py --records 100000
	$(BIN)/python bench/fleet.py --seconds 30 --modes live
	$(BIN)/python bench/whole_path.py --runs 1

benchall: debian-test $(VENV)/.runtime ## every benchmark in full, scoring a month included; takes half an hour
	$(BIN)/python bench/read_log.py
	$(BIN)/python bench/poll.py
	$(BIN)/python bench/fleet.py
	$(BIN)/python bench/whole_path.py
	$(BIN)/python bench/score_month.py
	$(BIN)/python bench/score_month.py --postgres

lock: $(VENV)/.runtime ## compile requirements/*.txt anew from pyproject.toml
	devtools/lock $(BIN)/python

clean: ## remove what the other targets made, the environment included
	rm -rf $(VENV) .interop .fuzz build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*

# The environment: emptied when a lock or the build changes. One that make did not make is left alone.

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml | debian-venv
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hadir needs Python 3.11 or newer; try make PYTHON=python3.11")'
	@test ! -e $(VENV) || test -e $(VENV)/.made-by-make || \
		{ echo "$(VENV) was not made by make: move it away, or name another, as in make VENV=/tmp/hadir" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $(VENV)/.made-by-make
	$(LOCKED) --requirement requirements/build.txt
	$(LOCKED) --requirement requirements/runtime.txt
	$(PIP) install --quiet --no-deps --no-index --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(LOCKED) --requirement requirements/dev.txt
	touch $@

# What `interop` needs, apart from everything else: locked by versions and hashes, and no script of theirs is run.

.interop/.made: requirements/interop.txt tests/interop/package.json tests/interop/package-lock.json | debian-interop
	rm -rf .interop
	mkdir .interop
	cp tests/interop/package.json tests/interop/package-lock.json .interop/
	cd .interop && npm ci --ignore-scripts --no-audit --no-fund
	$(PYTHON) -m venv .interop/venv
	.interop/venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
		--require-hashes --only-binary :all: --requirement requirements/interop.txt
	touch $@

# What `fuzz` needs: atheris is published for Python 3.11 to 3.13 on Linux x86-64 and ARM only.

.fuzz/.made: requirements/fuzz.txt requirements/runtime.txt requirements/build.txt | debian-venv
	rm -rf .fuzz/venv
	$(PYTHON) -m venv .fuzz/venv
	.fuzz/venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
		--require-hashes --requirement requirements/build.txt
	.fuzz/venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
		--require-hashes --use-pep517 --no-build-isolation --requirement requirements/runtime.txt
	.fuzz/venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
		--require-hashes --only-binary :all: --requirement requirements/fuzz.txt
	touch $@

# Debian packages: installed when make runs as root, else named.

debian-venv:
	@devtools/debian_packages $(PYTHON) python3-venv

debian-test:
	@devtools/debian_packages $(PYTHON) python3-venv mosquitto postgresql systemd

debian-interop:
	@devtools/debian_packages $(PYTHON) python3-venv nodejs npm
