# Every target does all its own set-up on a fresh clone.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3.13
VENV := .venv
BIN := $(VENV)/bin
SET_UP := $(VENV)/.done
AZURITE := lab/node_modules/.done
NPM_FOR_TESTS := tests/node_modules/.done
NPM_FOR_BENCH := bench/node_modules/.done
PROMTOOL := .tools/usr/bin/promtool
CODE := relay lab bench examples tests function_app.py

.PHONY: help bench demo faults diagnose documents conformance fuzz lab test check rules infra-check shapes fix lock clean browser

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 16

demo: $(SET_UP) $(AZURITE) ## Watch twin events flow on a local Azure; JSON=1 prints JSON lines
	@$(BIN)/python -m lab.demo $(if $(JSON),--json)

faults: $(SET_UP) $(AZURITE) ## Break everything while events flow, and count; QUICK=1 a fifth, JSON=1 JSON lines
	@$(BIN)/python -m lab.faults $(if $(QUICK),--quick) $(if $(JSON),--json)

diagnose: $(SET_UP) $(AZURITE) ## Produce every cause of a refusal, ask the doctor, and count; JSON=1 JSON lines
	@$(BIN)/python -m lab.diagnosis $(if $(JSON),--json)

documents: $(SET_UP) ## Make docs/troubleshooting.md anew from the table that the code uses
	@$(BIN)/python -m lab.diagnosis --documents

conformance: $(SET_UP) ## Hold the webhook to what others specify; JSON=1 ends with one JSON object
	@$(BIN)/python tests/conformance --write $(if $(JSON),--json)

fuzz: $(SET_UP) ## Feed the decoders a million inputs, for half an hour; INPUTS=n for another number
	@$(BIN)/python tests/fuzz $(if $(INPUTS),--inputs $(INPUTS)) $(if $(JSON),--json)

bench: $(SET_UP) $(AZURITE) $(NPM_FOR_BENCH) ## Measure against what one would otherwise run; QUICK=1 in short, GROWTH=1 at length, JSON=1
	@$(BIN)/python -m bench $(if $(QUICK),--quick) $(if $(GROWTH),--growth) $(if $(JSON),--json)

lab: $(SET_UP) $(AZURITE) ## Run the local Azure until Ctrl-C, and print the settings to use it
	@$(BIN)/python -m lab up

test: $(SET_UP) $(AZURITE) $(NPM_FOR_TESTS) browser ## Run the tests
	@$(BIN)/python -m pytest -q -n 6 --dist loadgroup

check: $(SET_UP) $(AZURITE) $(NPM_FOR_TESTS) ## Check format, lint, types and tests; writes nothing
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy relay lab function_app.py
	@$(MAKE) --no-print-directory test

rules: $(PROMTOOL) ## Test the Prometheus rules by promtool; from Debian's package unless PROMTOOL says where it is
	@$(PROMTOOL) test rules infra/monitoring/prometheus-rules.test.yaml

infra-check: $(SET_UP) $(NPM_FOR_TESTS) ## Hold the templates for Azure to their policies; JSON=1 one JSON object
	@$(BIN)/python -m tests.infra $(if $(JSON),--json) $(if $(DOCUMENT),--document) $(if $(MUTANTS),--mutants)

# Only when a name of Azure's is missing, or a package is newer: what it writes is kept.
shapes: ## Write down anew what Azure's resources may hold, from packages of 70 MB
	@$(PYTHON) -m venv .tools/shapes
	@.tools/shapes/bin/python -m pip install --quiet --disable-pip-version-check -r tests/infra/bicep/shapes.txt
	@.tools/shapes/bin/python tests/infra/bicep/extract.py

fix: $(SET_UP) ## Format, and mend what the linter can
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

lock: $(SET_UP) ## Pin every requirement anew
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --python-version 3.13 --no-header \
		--no-emit-index-url --no-emit-find-links requirements-dev.txt -o requirements-dev.lock

# Without one, the tests that need it fail and say how to get it. Only root can install it.
browser:
	@if ! command -v "$${CHROMIUM:-chromium}" chromium-browser google-chrome >/dev/null \
		&& [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium, in which the tests of pages run, about 60 s" >&2; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	fi

clean: ## Remove what the other targets made
	@rm -rf $(VENV) lab/node_modules tests/node_modules bench/node_modules .tools .lab .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(SET_UP): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || { \
		echo "Twin Relay needs Python 3.13, and '$(PYTHON)' is not it: install it (for example" \
			"'pyenv install 3.13' or 'brew install python@3.13') or say PYTHON=/path/to/python3.13" >&2; \
		exit 1; }
	@echo "Setting up Python: a virtual environment in $(VENV), about 15 s" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-dev.lock 2> >(grep -v '^WARNING: Location' >&2)
	@touch $@

$(AZURITE): lab/package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || { \
		echo "The local Azure needs Node.js 20 or newer for Azurite: install it (for example" \
			"'nvm install 22', 'apt-get install nodejs' or 'brew install node'), then again" >&2; \
		exit 1; }
	@echo "Setting up Azurite, the storage of the local Azure, about 15 s" >&2
	@npm ci --prefix lab --silent --no-audit --no-fund
	@touch $@

$(NPM_FOR_TESTS): tests/package-lock.json
	@npm ci --prefix tests --silent --no-audit --no-fund
	@touch $@

$(NPM_FOR_BENCH): bench/package-lock.json
	@echo "Setting up the Azure SDKs for Node, against which is measured too, about 10 s" >&2
	@npm ci --prefix bench --silent --no-audit --no-fund
	@touch $@

# Lists of packages may be missing, as in a fresh container; only root can fetch them.
.tools/usr/bin/promtool:
	@mkdir -p .tools
	@[ "$$(id -u)" != 0 ] || apt-get update -q -q
	@cd .tools && apt-get download -q -q prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb
