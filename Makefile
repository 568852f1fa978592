# Every target makes `.venv` first; nothing else has to be installed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
DAY := $(shell date -I)
NEXT_DAY := $(shell date -I -d tomorrow)
FUZZ_SECONDS ?= 600
RUNS ?= 300
SEED ?= 1
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --strip-extras --no-emit-index-url --no-emit-find-links
FAST := not engine and not emulator and not slow

# Kept compiled: otherwise each worker of the tests, and each process that they start, compiles all modules.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-bi browser soak chaos fuzz dev bi lint lint-python lint-layout lint-sql format bench docs model-docs quality-docs screenshots slim lock sbom audit down clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "Python 3.11 is required: install it, or set its path with 'make PYTHON=/path/to/python3.11 ...'" >&2; exit 1; }
	@echo "Installing the pinned libraries into $(VENV) (a few minutes, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(READY) requirements-dev.lock
	@echo "Installing the tools of tests and style"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(READY) ## meter files to marts on embedded engines: no cloud, no Docker
	@$(BIN)/myproperty demo

test: $(DEV) ## all tests: the longest first, the fast ones fill the gaps at the end
	@$(BIN)/pytest -q -n 2 --no-loadscope-reorder

test-fast: $(DEV) ## the tests that need no engine
	@$(BIN)/pytest -q -n 2 --no-loadscope-reorder -m "$(FAST)"

test-bi: browser ## the dashboards in a browser
	@$(BIN)/pytest -q tests/test_dashboards.py tests/end_to_end/test_dashboards.py

# Without the rights to install Chromium, or without Debian's packages, the tests of a browser say that they were skipped.
browser: $(DEV) ## install what the dashboards' tests need: Superset (850 MB) and, as root on Debian, Chromium (400 MB)
	@command -v chromium > /dev/null || command -v google-chrome > /dev/null || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium > /dev/null; } || \
		echo "Chromium was not installed" >&2
	@$(BIN)/python -c 'from myproperty.engines.environment import find_superset; from myproperty.settings import get_settings; find_superset(get_settings()).install()'

soak: $(DEV) ## plant every fault of the table into the real job, run a hundred unusual days, rebuild the warehouse, split a failed backfill, let sixty days pass (hours)
	@$(BIN)/python -W ignore -m tests.soak.trials
	@$(BIN)/python -W ignore -m tests.soak.batches
	@$(BIN)/python -W ignore -m tests.soak.rebuild
	@$(BIN)/python -W ignore -m tests.soak.backfill
	@$(BIN)/python -W ignore -m tests.soak.sixty_days

chaos: $(DEV) ## kill, cut, fill and double loads and runs at random points: RUNS=300 SEED=1 (an hour)
	@$(BIN)/python -W ignore -m tests.chaos --runs $(RUNS) --seed $(SEED) --page

fuzz: $(DEV) ## give broken meter files to the readers for FUZZ_SECONDS (600); a file that breaks one is kept as .local/crash-*
	@mkdir -p .local
	@$(BIN)/python -W ignore -m tests.fuzz.readers -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=60 \
		-artifact_prefix=.local/

dev: $(READY) ## the Dagster UI on the embedded engines
	@$(BIN)/myproperty dev

bi: $(READY) ## the dashboards: Apache Superset on the demo's warehouse, after `make demo`
	@$(BIN)/myproperty bi

lint: $(DEV) ## style, types, SQL, imports between the floors, unused dependencies, dead code
	@$(MAKE) --no-print-directory --output-sync --jobs=2 lint-python lint-layout lint-sql

lint-python:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy .

lint-layout:
	@PYTHONPATH=. $(BIN)/lint-imports --no-logo
	@$(BIN)/deptry .
	@$(BIN)/vulture

lint-sql:
	@$(BIN)/sqlfluff lint --disable-progress-bar data/warehouse oltp_schema/migrations/sql
	@$(BIN)/squawk oltp_schema/migrations/sql/*.sql

format: $(DEV) ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(DEV) ## measure; each figure as a ratio to a limit of the same run, also in .local/bench.json
	@$(BIN)/python -m benchmarks.bench

docs: $(DEV) ## regenerate the generated pages: commands, settings, rules, schema, lineage
	@$(BIN)/python -m docs.generate

model-docs: $(READY) ## build the site of the models (columns, tests, lineage); needs a built warehouse
	@$(BIN)/myproperty dbt docs generate --static --quiet --vars '{start_date: $(DAY), end_date: $(NEXT_DAY)}'
	@echo "Open $(or $(MYPROPERTY_HOME),.local)/dbt_target/$(or $(MYPROPERTY_WAREHOUSE),postgres)/by_hand/static_index.html"

quality-docs: $(READY) ## build the site of the gates from the kept verdicts (Great Expectations' Data Docs)
	@$(BIN)/myproperty quality-docs

screenshots: $(DEV) ## take the pictures of docs/dagster.md and docs/dashboards.md: needs Chromium, takes minutes
	@$(BIN)/python -W ignore -m docs.screenshots
	@$(BIN)/python -W ignore -m docs.dashboard_pictures

slim: $(READY) ## build and test changed models for the dates from FROM to before TO, in schemas slim_*
	@MYPROPERTY_RAW_PREFIX=$(MYPROPERTY_DATASET_PREFIX) MYPROPERTY_DATASET_PREFIX=slim_ $(BIN)/myproperty dbt build \
		--select state:modified+ --defer --vars '{start_date: $(FROM), end_date: $(TO)}'

lock: $(READY) ## resolve the dependencies again, to their newest versions: what runs, and what tests and the image need besides
	@$(BIN)/pip install --quiet uv
	@$(COMPILE) --upgrade pyproject.toml -o requirements.lock
	@$(COMPILE) --upgrade --extra dev --constraint requirements.lock pyproject.toml -o requirements-dev.lock
	@$(COMPILE) --upgrade myproperty/engines/superset/requirements.in -o myproperty/engines/superset/requirements.lock
	@$(COMPILE) --upgrade --extra deploy --constraint requirements.lock pyproject.toml -o requirements-deploy.lock
	@$(BIN)/python -m docs.licences

sbom: $(READY) ## write the bills of materials of what runs (CycloneDX): .local/sbom.json, sbom-superset.json, sbom-emulator.json
	@$(PYTHON) -m venv .local/sbom-venv
	@.local/sbom-venv/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom
	@.local/sbom-venv/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml -o .local/sbom.json
	@for lock in $(ENGINE_LOCKS); do \
		.local/sbom-venv/bin/cyclonedx-py requirements $$lock \
			-o .local/sbom-$$(basename $$(dirname $$lock)).json || exit 1; \
	done
	@echo "Wrote .local/sbom.json, .local/sbom-superset.json and .local/sbom-emulator.json"

SERVICE ?= pypi
ENGINE_LOCKS := myproperty/engines/superset/requirements.lock myproperty/engines/emulator/requirements.lock
audit: ## compare all locks with known vulnerabilities, those of PyPI or, with SERVICE=osv, of osv.dev
	@$(PYTHON) -m venv .local/audit-venv
	@.local/audit-venv/bin/pip install --quiet --disable-pip-version-check pip-audit
	@for lock in requirements.lock requirements-dev.lock requirements-deploy.lock $(ENGINE_LOCKS); do \
		echo "$$lock:"; \
		.local/audit-venv/bin/pip-audit --vulnerability-service $(SERVICE) --strict --require-hashes --disable-pip \
			--progress-spinner off --requirement $$lock || { \
			echo "Not clean. Vulnerabilities are in a table above, with the version that mends each: 'make lock'." >&2; \
			echo "Without a table $(SERVICE) had no data (not found, not reachable), and nothing is known." >&2; \
			exit 1; }; \
	done

down: $(READY) ## stop the embedded engines
	@$(BIN)/myproperty down

clean: ## delete the data of the embedded engines and everything installed
	@if [ -x $(BIN)/myproperty ]; then $(BIN)/myproperty down; fi
	@rm -rf .local $(VENV)
