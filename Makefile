# make run: the power network under distributed MPC. make test: every check. Both set up .venv themselves; they need
# Python 3.11 to 3.14 with venv, make and a package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOLDERS := dmpcrl_ctrl plants controllers cosim validation
FILES := $(sort $(shell find $(FOLDERS) -type f \( -name '*.py' -o -name '*.j2' -o -name '*.js' -o -name '*.css' -o -name 'py.typed' \)))
OUT ?= runs/hycon2_scenario1
# Only this folder of ours is written over, never one that the caller names.
OVERWRITE := $(if $(filter file,$(origin OUT)),--overwrite)
# Small dense matrices: threads inside the linear algebra only get in each other's way.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test test-long browser test-browser bench docs lint format types clean FORCE

help:
	@echo "make run        run examples/hycon2_scenario1.toml, write its report to $(OUT)"
	@echo "make test       lint, types and all quick tests;  make test-long: every test"
	@echo "make test-browser  the pages in a headless Chromium, which has to be installed"
	@echo "make lint       ruff (rules, format);  make format: mend them;  make types: mypy"
	@echo "make bench      speed, as ratios within one run: docs/performance.md"
	@echo "make docs       the documentation site: docs/_build/index.html"
	@echo "make install    only set up $(VENV);  make clean: remove what was built (not runs/)"

install: $(VENV)/installed

run: $(VENV)/installed
	$(BIN)/python -m dmpcrl_ctrl run examples/hycon2_scenario1.toml --out $(OUT) $(OVERWRITE)

test: lint types
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2

test-long: lint types
	$(ONE_THREAD) THOROUGH=1 $(BIN)/python -m pytest -n 2 -m "not browser"

# Whether there is one.
browser:
	@$(check_browser)

test-browser: browser $(VENV)/installed
	$(ONE_THREAD) $(BIN)/python -m pytest -m browser tests/browser

bench: $(VENV)/installed
	$(ONE_THREAD) $(BIN)/python -m benchmarks

docs: $(VENV)/installed
	$(ONE_THREAD) $(BIN)/python -m sphinx -q -n -W --keep-going docs/site docs/_build
	@echo docs/_build/index.html

lint: $(VENV)/installed
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

format: $(VENV)/installed
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

# In the tree of links every module has its one name: checked by its folder, plants/zoh.py would be `plants.zoh` to mypy and
# `dmpcrl_ctrl.plants.zoh` to those who import it, and each class would differ from itself.
types: $(VENV)/installed
	@tree=$$(echo build/__editable__.*); \
	echo "mypy dmpcrl_ctrl tests"; \
	MYPYPATH=$$tree $(BIN)/python -m mypy $$tree/dmpcrl_ctrl tests $(wildcard examples/*.py benchmarks/*.py docs/*.py docs/site/*.py) > $(VENV)/types; \
	status=$$?; \
	sed -E "s#$$tree/dmpcrl_ctrl/(plants|controllers|cosim|validation)/#\1/#; s#$$tree/##" $(VENV)/types; \
	exit $$status

# The install is editable and strict: a tree of links under build/, made anew when a source file comes or goes.
$(VENV)/installed: pyproject.toml $(VENV)/files | $(VENV)/usable
	@rm -rf build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --config-settings editable_mode=strict --editable '.[test]'
	@touch $@

$(VENV)/files: FORCE | $(VENV)/usable
	@echo '$(CURDIR) $(FILES)' | cmp -s - $@ || echo '$(CURDIR) $(FILES)' > $@

# Looked at every time: a .venv whose Python has gone is made anew.
$(VENV)/usable: FORCE
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { $(check_python) && $(make_venv); }
	@touch $@

define check_python
{ $(PYTHON) -c 'import sys' 2>/dev/null \
  || { echo "make: $(PYTHON) does not run: install Python 3.11 to 3.14, or name one: make PYTHON=python3.12" >&2; exit 1; }; } \
&& { $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' \
  || { echo "make: $(PYTHON) is `$(PYTHON) --version 2>&1`, but 3.11 to 3.14 is needed: make PYTHON=python3.12" >&2; exit 1; }; } \
&& { $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
  || { echo "make: $(PYTHON) has no venv or ensurepip: install them (Debian, Ubuntu: the package python3-venv)" >&2; exit 1; }; }
endef
define check_browser
{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null && command -v chromedriver >/dev/null \
  || { echo "make: no Chromium with its chromedriver: install both (Debian: the packages chromium and chromium-driver)" >&2; exit 1; }
endef
make_venv = rm -f $(VENV)/installed && $(PYTHON) -m venv --clear $(VENV)

clean:
	rm -rf build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
