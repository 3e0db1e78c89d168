# Everything a fresh clone needs beyond Python 3.11 and make is set up by these targets, inside this directory.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
UV := $(shell command -v uv 2>/dev/null || echo .venvs/uv/bin/uv)
RUN := .venv/bin/python
STATIC := src/runlore/server/static/index.html
UI_SOURCES := $(shell find ui -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/test-results/*' 2>/dev/null)
FRAMEWORKS := boosters deep recording
EXTRAS := pandas postgres regex sklearn
PORT ?= 5000
PYTEST_ARGS ?=

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: run
run: demo ## Train real examples, then open the dashboard on http://localhost:5000 (PORT=… for another)
	@echo "Opening the dashboard (another port: make run PORT=5001)"
	@exec .venv/bin/runlore ui demo --port $(PORT)

# Whole or not at all: an interrupted training is begun anew. The store is named, whatever the environment or git would choose.
demo: | .venv/.ready $(STATIC)
	@rm -rf demo.part && mkdir demo.part
	@echo "Training examples/guide.py and examples/train_curves.py into demo/.runlore"
	@export RUNLORE_TRACKING_URI="$(CURDIR)/demo.part/.runlore" RUNLORE_REGISTRY_URI="$(CURDIR)/demo.part/.runlore"; \
	  for example in guide train_curves; do $(RUN) examples/$$example.py; done
	@mv demo.part demo

.PHONY: test
test: .venv/.ready $(STATIC) test-services lint ui-test test-frameworks ## Set everything up and run all tests
	$(RUN) -m pytest $(PYTEST_ARGS)

# Each group of frameworks is tested in an environment of its own, which sees this checkout beside them.
.PHONY: test-frameworks
test-frameworks: $(FRAMEWORKS:%=.venvs/%/.ready) ## Test the models and autologging of other libraries, in environments of their own
	@for name in $(FRAMEWORKS); do if [ -x .venvs/$$name/bin/python ]; then \
	  PYTHONDONTWRITEBYTECODE= .venvs/$$name/bin/python -m pytest -q tests/frameworks/$$name; else echo "Skipped: tests/frameworks/$$name" >&2; fi; done

.PHONY: pytest
pytest: .venv/.ready $(STATIC) ## Run the Python tests alone (PYTEST_ARGS='tests/store -k search')
	$(RUN) -m pytest $(PYTEST_ARGS)

.PHONY: soak
soak: .venv/.ready $(STATIC) ## Run the fault tests at length: kills, lost answers, full disks; charts of 10⁹ points (about an hour)
	RUNLORE_SOAK=1 $(RUN) -m pytest -s tests/faults $(PYTEST_ARGS)
	$(RUN) bench/charts.py --billion

.PHONY: lint
lint: .venv/.ready ## Check style and types of the Python code
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/mypy --platform win32 --python-version 3.14 --cache-dir .mypy_cache/win32
	.venv/bin/mypy --platform darwin --python-version 3.12 --cache-dir .mypy_cache/darwin

.PHONY: format
format: .venv/.ready ## Format the Python and TypeScript code
	.venv/bin/ruff check --fix --exit-zero
	.venv/bin/ruff format
	$(RUN) hatch_build.py run format

.PHONY: ui
ui: $(STATIC) ## Build the dashboard into the package
$(STATIC): .venv/.ready $(UI_SOURCES)
	$(RUN) hatch_build.py

.PHONY: ui-test
ui-test: $(STATIC) ## Check and test the dashboard's TypeScript
	$(RUN) hatch_build.py run check

.PHONY: reference
reference: .venv/.ready ## Write docs/reference/ anew from the code
	$(RUN) docs/generate.py

.PHONY: bench
bench: .venv/.ready .venvs/mlflow3/.ready .venvs/fasttrackml/.ready ## Measure Runlore beside MLflow and FastTrackML, into README.md
	$(RUN) bench/ingest.py --readme
	$(RUN) bench/search.py --readme
	$(RUN) bench/disk.py --readme
	$(RUN) bench/table.py
	$(RUN) bench/serving.py
	$(RUN) bench/search_store.py
	$(RUN) bench/postgresql.py --readme
	$(RUN) bench/charts.py

.PHONY: sdk-bench
sdk-bench: .venv/.ready .venvs/mlflow3/.ready .venvs/wandb/.ready .venvs/trackio/.ready .venvs/aim/.ready .venvs/tensorboardx/.ready ## Measure what logging costs, beside five other trackers, into README.md
	$(RUN) bench/sdk.py --readme
	$(RUN) bench/crash.py

.PHONY: wheel
wheel: .venv/.ready ## Build the wheel, dashboard included, into dist/
	$(UV) build --quiet --wheel --out-dir dist

.PHONY: lock
lock: $(UV) ## Renew the lock files: names, versions and hashes, no addresses
	for name in mlflow2 mlflow3 moto fasttrackml wandb trackio aim tensorboardx; do \
	  $(UV) pip compile --quiet --generate-hashes --python-version 3.11 --no-header requirements/$$name.in -o requirements/$$name.lock; done
	for name in $(filter-out deep,$(FRAMEWORKS)); do \
	  $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --extra sklearn \
	    pyproject.toml requirements/$$name.in -o requirements/$$name.lock; done
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(addprefix --extra ,$(EXTRAS)) --group dev \
	  pyproject.toml -o requirements/dev.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra sklearn \
	  --override requirements/deep.overrides $(addprefix --no-emit-package ,torch nvidia-nccl-cu12 nvidia-nccl-cu13) \
	  pyproject.toml requirements/deep.in -o requirements/deep.lock

.PHONY: test-services
test-services: .venvs/mlflow2/.ready .venvs/mlflow3/.ready .venvs/moto/.ready ## Install an S3 server, PostgreSQL and Chromium where that is possible
	@.ci/services

.PHONY: clean
clean: ## Remove everything that these targets made
	rm -rf .venv .venvs demo demo.part dist ui/node_modules src/runlore/server/static .pytest_cache .mypy_cache .ruff_cache .hypothesis

# -- environments ------------------------------------------------------------------------------------------------------

.venvs/uv/bin/uv: requirements/uv.lock
	@test -n "$(PYTHON)" || { echo "Runlore needs Python 3.11 or newer; none was found. Name one: make PYTHON=/path/to/python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv .venvs/uv 2>/dev/null || { if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	  then apt-get update -qq && apt-get install -qq -y python3-venv && $(PYTHON) -m venv --clear .venvs/uv; \
	  else echo "python -m venv does not work here; install python3-venv (Debian, Ubuntu) or uv." >&2; exit 1; fi; }
	.venvs/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock

.venv/.ready: requirements/dev.lock pyproject.toml hatch_build.py | $(UV)
	$(UV) venv --quiet --allow-existing --python "$(PYTHON)" .venv
	$(UV) pip sync --quiet --python .venv --require-hashes requirements/dev.lock
	$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	@touch $@

.venvs/deep/.ready: requirements/deep.lock .ci/deep | $(UV)
	@.ci/deep $(UV)

.venvs/%/.ready: requirements/%.lock | $(UV)
	@$(UV) venv --quiet --allow-existing --python 3.11 --no-python-downloads .venvs/$* 2>/dev/null \
	  || $(UV) venv --quiet --allow-existing --python "$(PYTHON)" .venvs/$*
	$(UV) pip sync --quiet --python .venvs/$* --require-hashes requirements/$*.lock
	@if [ -d tests/frameworks/$* ]; then echo "$(CURDIR)/src" > \
	  "$$(.venvs/$*/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/runlore.pth"; fi
	@touch $@
