# What a developer runs. A fresh machine needs Python >= 3.11 and make; the first target makes .venv from the locks.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' $(LOCK_OPTIONS)

# Where nothing may be remembered, every process would compile all it imports: seconds for each.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench chaos chaos-long mutants schemas manifests screenshots up lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(READY) ## Play the whole story on embedded servers; exit 0 when every outcome is as stated
	$(BIN)/addonflow demo

test: lint ## Lint, then every test; Docker tests are skipped where there is no Docker
	$(BIN)/pytest $(ARGS)

lint: $(READY) ## Style, format, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Put the code into its format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY) ## Measure throughput and latency on real Kafka and Valkey (needs Docker)
	$(BIN)/python -m tests.benchmarks $(ARGS)

mutants: $(READY) ## Make defects on purpose, one after another; each must be caught by the tests it names
	$(BIN)/python -m tests.mutants $(ARGS)

chaos: $(READY) ## Try to break every promise for ten minutes on real servers (needs Docker); see tests/chaos
	ADDONFLOW_CHAOS_HISTORIES=2000 $(BIN)/pytest -q tests/chaos/test_lives.py
	$(BIN)/python -m tests.chaos $(ARGS)

chaos-long: $(READY) ## The same for two hours, and ten times as many histories
	ADDONFLOW_CHAOS_HISTORIES=20000 $(BIN)/pytest -q tests/chaos/test_lives.py
	$(BIN)/python -m tests.chaos --minutes 120 $(ARGS)

schemas: $(READY) ## Generate the JSON Schemas, the AsyncAPI and OpenAPI documents and the page of settings again
	$(BIN)/python -m contracts.schemas
	$(BIN)/python -m deploy.asyncapi
	$(BIN)/python -m deploy.openapi
	$(BIN)/python -m deploy.settings

manifests: $(READY) ## Write the generated Kubernetes manifests and the example again (needs kustomize)
	$(BIN)/python -m deploy.manifests

screenshots: $(READY) ## Take the pictures of the dashboard's README again
	ADDONFLOW_SCREENSHOTS=1 $(BIN)/pytest -q tests/browser/test_appearance.py -k pictures

up: $(READY) ## Keep embedded servers, the services and the dashboard running
	$(BIN)/addonflow up $(ARGS)

# The newest versions: make lock LOCK_OPTIONS=--upgrade
lock: $(READY) ## Pin every dependency again, with hashes
	$(LOCK) pyproject.toml --extra traces -o requirements/runtime.txt
	$(LOCK) --group build -c requirements/runtime.txt -o requirements/build.txt
	$(LOCK) pyproject.toml --extra embedded --extra traces --group dev -c requirements/runtime.txt -c requirements/build.txt \
		-o requirements/dev.txt

clean: ## Remove the environment and what the tools remember
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv from its own lock installs the rest in a second or two; pip, which knows this machine's proxies, stands in where it fails.
# Nothing unpinned is fetched: the project itself is built with the locked backend.
$(READY): requirements/build.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "addonflow needs Python 3.11 or later; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/build.txt
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install -q --compile-bytecode --require-hashes -r requirements/dev.txt || \
		$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
