# make demo    install into .venv, then generate, train, test, draw, report, read scans
# make install the same and what tests, style and documentation need
# make test    the test suite            make lint   style, types, imports
# make coverage   the tests, and which lines they reach
# make docs    the documentation        make clean  what was built
#
# Variables: PYTHON (interpreter to start from), TORCH (what pip is asked for),
# MMCV=full (compile all of MMCV), VENV (where to install), FRESH=1 (train the
# demo anew), DEMO_OPTS (options of mmcovid train), PYTEST_OPTS, TEST_PROCESSES.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
TEST_PROCESSES ?= logical

BIN := $(abspath $(VENV))/bin
# --no-compile: Python compiles what it imports when it does, which is little of all that pip would.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile
# Tests of one file run in one process, for what they share.
PYTEST := $(BIN)/python -m pytest tests -n $(TEST_PROCESSES) --maxprocesses=4 --dist=loadfile
PINS := $(shell grep '^onedl-' requirements/mminstall.txt)
MMCV_PIN := $(filter onedl-mmcv%,$(PINS))
# A step is done when its stamp is there. The stamps of another PyTorch do not
# count: what was compiled for one does not fit the other.
STAMPS := $(VENV)/.stamps-$(shell printf '%s' '$(TORCH)' | cksum | cut -d ' ' -f 1)

.PHONY: demo demo-short test coverage lint docs clean install stack
.DELETE_ON_ERROR:

demo: $(STAMPS)/clone
	PYTHON=$(BIN)/python FRESH=$(FRESH) tools/demo.sh $(DEMO_OPTS)

# A few iterations: shows that every step works, learns nothing.
demo-short: $(STAMPS)/clone
	PYTHON=$(BIN)/python FRESH=1 SHORT=1 WORK_DIR=work_dirs/demo-short tools/demo.sh

test: install
	$(PYTEST) $(PYTEST_OPTS)

coverage: install
	$(PYTEST) --cov --cov-report=term:skip-covered $(PYTEST_OPTS)

# The same as "pre-commit run --all-files".
lint: install
	PATH="$(BIN):$$PATH" $(BIN)/pre-commit run --all-files --show-diff-on-failure

docs: install
	$(BIN)/mkdocs build --strict

clean:
	rm -rf build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis
	find mmcovid tools tests configs -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(STAMPS)/install
stack: $(STAMPS)/mmcv$(addprefix -,$(MMCV))

$(STAMPS)/torch:
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)
	$(PIP) 'setuptools>=80,<81' wheel ninja
	@mkdir -p $(@D) && touch $@

# Before MMCV, whose own requirements would bring versions that do not fit the rest.
$(STAMPS)/libraries: $(STAMPS)/torch requirements/mminstall.txt requirements/runtime.txt
	$(PIP) $(filter-out $(MMCV_PIN),$(PINS)) -r requirements/runtime.txt
	@touch $@

# Whether an MMCV is there that can work here: neither pip nor its cache knows
# for which PyTorch it was compiled, and whether for CUDA. So an operator is tried.
MMCV_WORKS := $(BIN)/python -c "import mmcv, torch; from mmcv.ops import nms; \
    device = 'cuda' if torch.cuda.is_available() else 'cpu'; \
    nms(torch.ones(1, 4, device=device), torch.ones(1, device=device), 0.5); \
    assert '$(MMCV)' != 'full' or '+mmcovid' not in mmcv.__version__" 2>/dev/null

# All of MMCV if it is there, or compiled in pip's cache; else what our models need.
$(STAMPS)/mmcv: $(STAMPS)/libraries tools/misc/build_mmcv.py
	$(MMCV_WORKS) || \
	    { $(PIP) --only-binary onedl-mmcv '$(MMCV_PIN)' \
	        $$($(BIN)/python -m pip cache list --format=abspath onedl_mmcv | \
	            sed 's,^\(.*\)/.*,--find-links=\1,') 2>/dev/null && $(MMCV_WORKS); } || \
	    $(BIN)/python tools/misc/build_mmcv.py
	@touch $@

$(STAMPS)/mmcv-full: $(STAMPS)/libraries
	@echo 'Compiling all of $(MMCV_PIN) takes about 12 minutes on 2 cores, the first time.'
	$(MMCV_WORKS) || { $(BIN)/python -m pip uninstall --yes onedl-mmcv && \
	    $(PIP) --no-build-isolation '$(MMCV_PIN)'; }
	$(MMCV_WORKS) || \
	    $(PIP) --no-build-isolation --no-cache-dir --force-reinstall --no-deps '$(MMCV_PIN)'
	@touch $@

# This clone, with what the demo needs.
$(STAMPS)/clone: $(STAMPS)/mmcv$(addprefix -,$(MMCV)) setup.cfg setup.py \
    requirements/runtime_onnx.txt requirements/export.txt
	$(PIP) --no-build-isolation -e '.[runtime,export]'
	@touch $@

$(STAMPS)/install: $(STAMPS)/clone requirements.txt $(wildcard requirements/*.txt)
	$(PIP) -r requirements.txt
	@touch $@
