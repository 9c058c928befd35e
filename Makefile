# Type `make help`. Every target sets itself up: after `git clone`, `make demo` or `make test` is
# enough. A second call finds .venv up to date and starts at once.

.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
READY := .venv/.up-to-date

# Settings you may give, as in `make storm KILLS=500 SEED=1`.
# Two workers: most tests wait for real processes, and the small machines have two cores.
WORKERS ?= 2
TESTS ?= tests
KILLS ?= 200
ALERTS ?= 1000
N ?= 20
DEVICES ?= 1
DATA ?= cifar-10-batches-py
MINUTES ?= 10
SEED ?= 7
PYTHON ?=
export PYTHON

.PHONY: help
help: ## Say what can be made
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  Settings: TESTS=tests/ledger WORKERS=2 KILLS=200 SEED=7 PYTHON=/path/to/python3"

.PHONY: setup
setup: $(READY) ## Make .venv with everything in requirements.lock (3.3 GB to download, once)
	@echo "Ready: $(BIN)/overnight (make demo, make test)"

$(READY): requirements.lock pyproject.toml workshop/setup.sh
	@workshop/setup.sh

.PHONY: demo
demo: $(READY) ## A notebook, then a config: tuned, two folds, calibrated, predicted, reported: under five minutes
	@$(BIN)/overnight run examples/digits.ipynb --name digits --root demo-output --follow
	@$(BIN)/python examples/digits_images.py demo-output/digits
	@$(BIN)/overnight train --config examples/digits.yaml --root demo-output
	@printf '\nNext: . .venv/bin/activate, then: overnight status · overnight run YOUR_NOTEBOOK.ipynb\n'

.PHONY: test
test: $(READY) ## Run every test
	$(BIN)/pytest $(TESTS) -n $(WORKERS) --dist loadfile --durations 15

.PHONY: test-fast
test-fast: $(READY) ## Run the tests that take no more than a few seconds each
	$(BIN)/pytest $(TESTS) -n $(WORKERS) --dist loadfile -m "not slow"

.PHONY: check
check: format lint types layers test ## All that has to pass: format, lint, types, layers, tests

.PHONY: format
format: $(READY) ## Is the code formatted? (fix: .venv/bin/ruff format)
	$(BIN)/ruff format --check

.PHONY: lint
lint: $(READY) ## Is the code clean? (fix: .venv/bin/ruff check --fix)
	$(BIN)/ruff check

# What works on Windows too; detached runs need processes as Linux and macOS have them.
EVERYWHERE := $(addprefix src/overnight/,ledger notebook messages errors.py redact.py crashpoint.py \
  cli/__init__.py cli/convert.py cli/doctor.py) $(wildcard src/overnight/preflight/*.py)

.PHONY: types
types: $(READY) ## Do the types hold, on Linux, macOS and Windows?
	$(BIN)/mypy --platform linux
	$(BIN)/mypy --platform darwin
	$(BIN)/mypy --platform win32 $(EVERYWHERE)

.PHONY: layers
layers: $(READY) ## Does no room import one above it?
	$(BIN)/lint-imports

.PHONY: bench
bench: $(READY) ## Measure, side by side with what one would use instead (ONLY=convert for one)
	@set -e; for bench in bench/$(or $(ONLY),[a-z]*).py; do echo "== $$bench"; $(BIN)/python "$$bench"; done

.PHONY: storm
storm: $(READY) ## Kill jobs, keepers and supervisors at random, fill the disk; count what is lost
	$(BIN)/python -m overnight.testing.storm --kills $(KILLS) --seed $(SEED)

.PHONY: storm-courier
storm-courier: $(READY) ## Send 1,000 messages while killing who sends them; count lost and doubled
	$(BIN)/python -m overnight.testing.storm_courier --alerts $(ALERTS) --seed $(SEED)

.PHONY: resume-proof
resume-proof: $(READY) ## Kill trainings in the middle of everything; compare the weights they end with
	$(BIN)/python -m overnight.testing.resume_proof --kills $(N) --seed $(SEED) --devices $(DEVICES)

.PHONY: calibration-proof
calibration-proof: $(READY) ## Small trainings on the pictures of DATA: does calibration mend what it should?
	$(BIN)/python -m overnight.testing.calibration_proof --data "$(DATA)"

.PHONY: tuning-proof
tuning-proof: $(READY) ## Kill a search again and again; compare its trials with one that nobody killed
	$(BIN)/python -m overnight.testing.tuning_proof --kills 10 --seed $(SEED)

.PHONY: until-proof
until-proof: $(READY) ## Five simulated nights with --until: does each end in time?
	$(BIN)/python -m overnight.testing.until_proof --seed $(SEED)

.PHONY: pipeline-proof
pipeline-proof: $(READY) ## Tune, train, calibrate, predict real images in time (DATA=folder of CIFAR-10)
	$(BIN)/python -m overnight.testing.pipeline_proof --data "$(DATA)" --minutes $(MINUTES) --seed $(SEED)

.PHONY: parity
parity: $(READY) ## The first 20 losses beside those of the plainest script with the same seed
	$(BIN)/python -m overnight.testing.parity

.PHONY: mirror-proof
mirror-proof: $(READY) ## Kill mirrors while runs go on; read every number back from MLflow and W&B
	$(BIN)/python -m overnight.testing.mirror_proof --seed $(SEED)
	$(BIN)/python -m overnight.testing.mirror_proof --seed $(SEED) --online --only wandb

.PHONY: test-live
test-live: $(READY) ## The same against W&B itself: WANDB_API_KEY=... make test-live
	@$(BIN)/python -m overnight.testing.mirror_proof --seed $(SEED) --live --only wandb

.PHONY: docs
docs: $(READY) ## Follow every link of the documents, run their examples
	$(BIN)/pytest tests/workshop/test_docs.py tests/workshop/test_tree.py

.PHONY: dist
dist: $(READY) ## Build sdist and wheel, check them, try the wheel in an empty environment
	@workshop/dist.sh

.PHONY: lock
lock: ## Resolve pyproject.toml into requirements.lock (UPGRADE=1 takes the newest of everything)
	@test -x $(BIN)/uv || workshop/setup.sh
	@workshop/lock.sh $(if $(UPGRADE),--upgrade)
