# Every target sets up what it needs; environments are made again when their requirements change.
#   make run    the gateway on this machine      make check  fast gates      make smoke BASE_URL=.../v1 KEY=...
#   make test   everything CI runs               make bench  figures         make deploy ENV=dev|prod

ENV ?= dev

ifndef PYTHON
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$name && break; done)
endif

VENV := .venv/bin
STACK_PYTHON := .local/stack-venv/bin/python
SAM_BIN := $(CURDIR)/.local/sam-venv/bin
# Without this make's own variables (a PYTHON= given here, say) would overrule those of the layers' Makefiles.
SAM := env -u MAKEFLAGS -u MAKELEVEL SAM_CLI_TELEMETRY=0 $(SAM_BIN)/sam
ENVIRONMENTS = @$(PYTHON) -m local.venvs
CODE := layers/gateway/gateway functions cli local scripts benchmarks tests

LOCKED := layers/deps/requirements.txt cli/requirements.txt requirements-dev.txt $(wildcard local/requirements-*.txt)
PEERS := benchmarks/peers
LOCKS := $(foreach lock,$(filter-out cli/%,$(LOCKED)),$(lock:.txt=.in):$(lock))

.PHONY: run test check smoke fuzz bench bench-governance soak build deploy setup lock lock-peers audit sbom licences clean clean-all python

run: python
	$(ENVIRONMENTS) stack sam
	@exec $(STACK_PYTHON) -m local.run

test: setup check
	$(VENV)/python -m pytest --ignore=tests/unit

check: python
	$(ENVIRONMENTS) dev sam
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy $(CODE)
	PYTHONPATH=layers/gateway $(VENV)/lint-imports --no-logo
	AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint
	$(VENV)/python -m pytest tests/unit

# Two thousand new examples for each property where the gates take the same forty, and twice five minutes of requests
# made from the published contract, over every route of the local stack.
fuzz: setup
	HYPOTHESIS_PROFILE=fuzz $(VENV)/python -m pytest tests/unit/test_any_bytes.py tests/unit/test_any_request.py
	CONTRACT_SECONDS=300 $(VENV)/python -m pytest tests/e2e/test_any_route.py

# The end-to-end suite against any gateway that is deployed: make smoke BASE_URL=https://.../v1 KEY=gwk_...
smoke: python
	$(ENVIRONMENTS) dev
	@test -n "$(BASE_URL)" && test -n "$(KEY)" || { echo "make smoke BASE_URL=https://.../v1 KEY=gwk_..." >&2; exit 2; }
	@BASE_URL="$(BASE_URL)" KEY="$(KEY)" $(VENV)/python -m pytest tests/e2e

# What the gateway costs, alone, through the local stack, and beside its peers, which it installs: a quarter of an hour.
# One part of it: make bench ARGS="--only A". Into docs/benchmarks and README: make bench ARGS="--only P --publish".
bench: python
	$(ENVIRONMENTS) dev stack sam
	PYTHONPATH=layers/gateway $(VENV)/python -m benchmarks $(ARGS)

# Budgets, limits and books at full size, a quarter of an hour: 10,000 requests race, and one in twenty functions is killed.
bench-governance: python
	$(ENVIRONMENTS) dev stack sam
	PYTHONPATH=layers/gateway $(VENV)/python -m benchmarks --only D E $(ARGS)

# Half an hour of mixed traffic, or MINUTES=; fails when a request ends as it may not, books differ or memory grows.
MINUTES ?= 30
soak: python
	$(ENVIRONMENTS) dev stack sam
	PYTHONPATH=layers/gateway $(VENV)/python -m benchmarks --only S --minutes $(MINUTES) --strict

# For Lambda: arm64, Python 3.13. Other parameters for one deployment: make deploy ENV=prod SET="TrafficShifting=AtOnce"
build: python
	$(ENVIRONMENTS) sam
	@$(PYTHON) -m local.build
	LAYER_TARGET=lambda PYTHON=$(SAM_BIN)/python $(SAM) build

deploy: build
	parameters=$$($(PYTHON) -m scripts.release_parameters $(ENV) $(SET)) && \
	$(SAM_BIN)/python -m scripts.managed_instances .aws-sam/build/template.yaml $$parameters && \
	$(SAM) deploy --config-env $(ENV) --parameter-overrides $$parameters

setup: python
	$(ENVIRONMENTS) dev stack sam

# Pins every requirements file anew, with hashes, to the newest versions that fit.
lock: python
	$(ENVIRONMENTS) supply
	for pair in $(LOCKS) pyproject.toml:cli/requirements.txt; do \
		.local/supply-venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
			--no-header --no-annotate $${pair%:*} --output-file $${pair#*:} || exit 1; \
	done
	@echo "Now: make licences audit"

# The newest of those that the benchmarks measure beside the gateway. Afterwards: make bench ARGS="--only P --quick"
lock-peers: python
	$(ENVIRONMENTS) supply
	for lock in $(PEERS)/*/requirements.txt; do \
		.local/supply-venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
			--no-header --no-annotate $${lock%.txt}.in --output-file $$lock || exit 1; \
	done
	cd $(PEERS)/portkey && npm update --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved

# What is known of weaknesses in what is locked, on whatever machine; fails where a package could not be looked up. Needs the internet.
audit: python
	$(ENVIRONMENTS) supply
	.local/supply-venv/bin/python -m scripts.audit

# CycloneDX 1.6, one file for each lock file: .local/sbom/*.cdx.json
sbom: python
	$(ENVIRONMENTS) supply
	.local/supply-venv/bin/python -m scripts.sbom .local/sbom

# Writes docs/licences.md anew from what is installed.
licences: python
	$(ENVIRONMENTS) dev stack sam supply contract
	$(VENV)/python -m scripts.licences

clean: python
	@$(PYTHON) -m local.clean

clean-all: python
	@$(PYTHON) -m local.clean --all

python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; %s is %s" % (sys.executable, sys.version.split()[0]))'
