# Every target makes what it needs in .venv and reuses it: on a fresh clone, Python and make are enough.
# Settings: PYTHON (makes .venv; 3.11 or newer), ARGS (passed on: make up ARGS="--port 7000", make test ARGS="-k journal").

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
# xdist: three workers keep two cores busy, since a third of the time is waiting (for TensorBoard's next reload, for processes to
# end), and are polite on more; whole files go to one worker, since the files in tests/e2e share one TensorBoard among their tests.
# In the order in which they are found: the long ones, in tests/chaos and tests/e2e, are begun early, and short ones even out the end.
TEST_WORKERS ?= 3
MINUTES ?= 5
# Container images like to set it. The tests start Python some five hundred times, which would compile all of it each time.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help up test test-clients test-compose lint fuzz chaos audit bench bench-peers proto openapi openapi-released lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

up: .venv/.installed-tensorboard  ## run the bridge and TensorBoard, and show the runs in ./runs (ARGS are flags of `tbbridge up`)
	@$(BIN)/tbbridge up $(ARGS)

test: .venv/.installed-dev  ## run all tests (ARGS go to pytest)
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/.installed-dev  ## check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict

test-clients: .venv/.installed-dev .clients/.installed  ## generate clients in other languages from docs/openapi.json, compile and run them
	$(BIN)/python -m pytest tests/clients --timeout 600 $(ARGS)

test-compose: .venv/.installed-dev  ## build the container images, run compose.yaml, and break things (needs a container engine)
	$(BIN)/python -m pytest tests/compose --timeout 600 $(ARGS)

fuzz: .venv/.installed-dev  ## try random inputs for MINUTES (default 5), and print what was tried (ARGS go to pytest)
	FUZZ_MINUTES=$(MINUTES) $(BIN)/python -m pytest tests/fuzz --timeout 0 -n $(TEST_WORKERS) --dist worksteal $(ARGS)

chaos: .venv/.installed-dev  ## kill, cut and fill everything for MINUTES (default 5), and print what was checked (CHAOS_SEED=n begins there)
	CHAOS_MINUTES=$(MINUTES) $(BIN)/python -m pytest tests/chaos --timeout 0 $(ARGS)

# pip-audit calls a package that it cannot look up "no known vulnerability" unless it is strict. torch's CPU build is on no index
# that it asks; only tests and the exporter of graphs use it.
audit: .venv/.installed-dev  ## look for known holes in what is installed (needs the internet), and for risky code in ours
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src
	$(BIN)/python -m pip freeze --exclude-editable | grep -v '^torch==' > .venv/audited.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement .venv/audited.txt

bench: .venv/.installed-dev  ## measure all in five minutes, and write docs/benchmarks.md (ARGS=--quick to see that it works)
	$(BIN)/python -m benchmarks all $(ARGS)

bench-peers: .venv/.installed-dev  ## the same work with mlflow, trackio, wandb, aim, pastalog, TensorFlow (installed in .venv-peers)
	$(BIN)/python -m benchmarks peers $(ARGS)

proto: .venv/.installed-dev  ## make the committed protobuf code again from proto/
	$(BIN)/protoc --proto_path=proto --python_out=src --pyi_out=src $$(cd proto && find . -name '*.proto' | sed 's|^\./||' | LC_ALL=C sort)

# Hashes of every file that the index has of a version, so that one lock serves all machines. Wheels only, as the Dockerfile wants.
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --only-binary :all: --python-version 3.11 --python-platform linux \
  --custom-compile-command "make lock" --no-emit-index-url --upgrade

lock: .venv/.installed-dev  ## pin again, by version and hash, what the container images install (needs the internet)
	$(LOCK) pyproject.toml --extra server --output-file docker/bridge.lock
	echo 'tensorboard>=2.20' | $(LOCK) - --output-file docker/tensorboard.lock
	echo 'hatchling>=1.27' | $(LOCK) - --output-file docker/build.lock

openapi: .venv/.installed-dev  ## write docs/openapi.json again, as the app says it
	$(BIN)/python tests/shared/openapi_document.py

openapi-released: openapi  ## for a release: what the interface is now becomes what it may not break any more
	cp docs/openapi.json docs/openapi-released.json

clean:  ## remove .venv, .venv-peers, .clients and the caches; never ./runs
	rm -rf .venv .venv-peers .clients .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

# --- the virtual environment ---------------------------------------------------------------------------------------------
# One stamp file a set of packages, newer than pyproject.toml when the set is as it asks. Installed editable, so that
# `make up` runs the checkout as it is now.

.venv/.made:
	@python=$(BIN)/python; test -x $$python || python=$(PYTHON); \
	command -v $$python >/dev/null || { echo "make: there is no '$$python'; install Python 3.11 or newer, or name yours: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }; \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: tbbridge needs Python 3.11 or newer, and $$python is $$($$python -V 2>&1); name a newer one (make PYTHON=python3.12 $(MAKECMDGOALS)) after removing .venv if there is one" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@touch $@

# What generates clients is apart from what is ours: its pins are its own.
.clients/.installed: tests/clients/requirements.txt tests/clients/install.sh | .venv/.made
	@tests/clients/install.sh
	@test -x .clients/venv/bin/python || $(PYTHON) -m venv .clients/venv
	.clients/venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/clients/requirements.txt
	@touch $@

.venv/.installed-tensorboard: pyproject.toml | .venv/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[server,tensorboard,examples]'
	@touch $@

.venv/.installed-dev: pyproject.toml | .venv/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch .venv/.installed-tensorboard $@
