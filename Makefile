# Two commands do everything: `make demo` and `make test`. Both create .venv first where it is missing.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check
MMCV   ?= mmcv
MMCV_VERSION ?= 1.7.2
STAMP  := $(VENV)/.stamp-$(MMCV)
WORK   ?= work_dirs/demo
DEMO_CONFIG := configs/demo/faster_rcnn_r18_fpn_mixed.py

# one thread a process: the suite and the demo run several processes side by side
export MPLBACKEND := Agg

.PHONY: help install test demo lint format bench clean

help:
	@echo 'make demo     draw a data set, train on it, test, and write $(WORK)/report.md'
	@echo 'make test     run the test suite'
	@echo 'make install  only prepare $(VENV) (MMCV=mmcv-full builds the compiled kind of mmcv)'
	@echo 'make lint     check style; make format applies it'
	@echo 'make bench    speed experiments of benchmarks/'
	@echo 'make clean    remove $(VENV), work_dirs and the drawn data'

install: $(STAMP)

$(STAMP): $(wildcard requirements/*.txt) setup.py tools/misc/install_mmcv.sh
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	rm -f $(VENV)/.stamp-*
	$(PIP) install -q -r requirements/build.txt
	$(PIP) install -q -r requirements/runtime.txt -r requirements/tests.txt
	bash tools/misc/install_mmcv.sh $(PY) $(MMCV) $(MMCV_VERSION)
	$(PIP) install -q --no-deps --no-build-isolation -e .
	touch $@

test: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(shell nproc) --dist worksteal tests

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(STAMP)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

demo: $(STAMP)
	$(PY) tools/dataset_converters/make_shapes.py data/shapes
	$(PY) tools/train.py $(DEMO_CONFIG) --work-dir $(WORK)
	$(PY) tools/test.py $(DEMO_CONFIG) $(WORK)/latest.pth --work-dir $(WORK) --eval bbox --out $(WORK)/results.pkl
	$(PY) tools/analysis_tools/training_report.py $(DEMO_CONFIG) $(WORK) --results $(WORK)/results.pkl

bench: $(STAMP)
	$(PY) benchmarks/speed.py

clean:
	rm -rf $(VENV) work_dirs data/shapes build dist *.egg-info .pytest_cache .ruff_cache
