# Everything from a fresh clone: make demo, make test. Each makes the virtual environment it needs.
PYTHON ?= python3
VENV ?= .venv
CORE ?= .venv-core
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_PROGRESS_BAR = off

.PHONY: demo test test-slow test-core lint bench clean
.DEFAULT_GOAL := test

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is too old: Python 3.10 or newer is needed; name one with PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q -e '.[cli,ultralytics,transformers,dev]'
	@$(VENV)/bin/python -c 'import cv2' || { echo "OpenCV does not load: this system lacks libraries it needs. On Debian or Ubuntu: apt-get install -y libgl1 libglib2.0-0 libxcb1 libsm6 libxext6"; exit 2; }
	@touch $@

## The main job on a generated data set, at most 15 minutes on two cores: icr-demo/report.html
demo: $(VENV)/.installed
	$(VENV)/bin/icr demo --out icr-demo

## The whole suite, fast ones first
test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --dist loadfile

## Whole-network compiles and long trainings; results are kept in benchmarks/results/test-slow.md
test-slow: $(VENV)/.installed
	$(VENV)/bin/python benchmarks/slow_tests.py

## The loss alone on PyTorch alone, then everything else without Ultralytics, each in a clean environment
test-core:
	rm -rf $(CORE)
	$(PYTHON) -m venv $(CORE)
	$(CORE)/bin/python -m pip install -q .
	$(CORE)/bin/python .ci/core_install.py
	$(CORE)/bin/python -m pip install -q '.[cli,test]'
	OMP_NUM_THREADS=1 $(CORE)/bin/python -m pytest -n 2 --dist loadfile tests

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

## The tables in benchmarks/results, measured anew on this machine
bench: $(VENV)/.installed
	$(VENV)/bin/python benchmarks/loss.py
	$(VENV)/bin/python benchmarks/step.py
	$(VENV)/bin/python benchmarks/paired_giou.py

clean:
	rm -rf $(VENV) $(CORE) icr-demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
