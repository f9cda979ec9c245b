# Two commands do everything: `make demo` and `make test`. Both create .venv first where it is missing.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check
MMCV   ?= mmcv
MMCV_VERSION ?= 1.7.2
# pip constraints, such as requirements/floor.txt
CONSTRAINTS ?=
# the environments of `make test-matrix`; the oldest releases go with the oldest Python
PYTHONS ?= python3.10 python3.11 python3.12 python3.13
VENVS   := .venvs
STAMP  := $(VENV)/.stamp-$(MMCV)
WORK   ?= work_dirs/demo
# cases of each test of `make fuzz`
CASES  ?= 2000
DEMO_CONFIG := configs/demo/faster_rcnn_r18_fpn_mixed.py
# of the training, such as --cfg-options runner.max_epochs=3
DEMO_OPTIONS ?=

# one thread a process: the suite and the demo run several processes side by side
export MPLBACKEND := Agg

PIP_INSTALL := $(PIP) install -q $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
INSTALL_MMCV := bash tools/misc/install_mmcv.sh

.PHONY: help install test fuzz test-browser coverage test-mmcv-full test-matrix test-wheel demo docs lint format bench clean

help:
	@echo 'make demo     draw a data set, train on it, test, and write $(WORK)/report.html'
	@echo 'make test     run the test suite'
	@echo 'make fuzz     damaged annotation files, configs, checkpoints and images, CASES=2000 of each'
	@echo 'make test-browser  look at the report in a headless Chromium, which it installs where it is missing (Debian)'
	@echo 'make coverage the same, and which lines of mmdet it does not reach'
	@echo 'make install  only prepare $(VENV) (PYTHON=python3.13; MMCV=mmcv-full builds the compiled kind of mmcv)'
	@echo 'make test-mmcv-full  the suite with a compiled mmcv, in an environment of its own (an hour on two cores)'
	@echo 'make test-matrix     the suite on each of PYTHONS, and with the oldest releases that are supported'
	@echo 'make test-wheel      build the wheel, install it away from the checkout, and train, test and predict with it'
	@echo 'make lint     check style and types; make format applies the style'
	@echo 'make docs     build the site of docs/ in site/'
	@echo 'make bench    speed experiments of benchmarks/'
	@echo 'make clean    remove $(VENV), $(VENVS), work_dirs and the drawn data'

install: $(STAMP)

$(STAMP): $(wildcard requirements/*.txt) setup.py tools/misc/install_mmcv.sh tools/misc/mmcv_build/sitecustomize.py
	@$(INSTALL_MMCV) --check $(if $(wildcard $(PY)),$(PY),$(PYTHON)) $(MMCV) $(MMCV_VERSION)
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	rm -f $(VENV)/.stamp-*
	$(PIP_INSTALL) -r requirements/build.txt
	$(PIP_INSTALL) -r requirements/runtime.txt -r requirements/tests.txt
	$(INSTALL_MMCV) $(PY) $(MMCV) $(MMCV_VERSION)
	$(PIP) install -q --no-deps --no-build-isolation -e .
	touch $@

test: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(shell nproc) --dist worksteal tests

fuzz: $(STAMP)
	OMP_NUM_THREADS=1 MMDET_FUZZ=$(CASES) $(PY) -m pytest -q tests/fuzz

test-browser: $(STAMP)
	bash tools/misc/install_browser.sh
	$(PIP_INSTALL) -r requirements/browser.txt
	$(PY) -m pytest tests/browser

coverage: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(shell nproc) --dist worksteal --cov=mmdet/ --cov-branch \
	  --cov-report=term-missing:skip-covered tests

test-mmcv-full:
	$(MAKE) test MMCV=mmcv-full VENV=$(VENVS)/mmcv-full

test-matrix:
	@failed=; \
	for python in $(PYTHONS); do \
	  $(MAKE) test PYTHON=$$python VENV=$(VENVS)/$$python || failed="$$failed $$python"; \
	done; \
	$(MAKE) test PYTHON=$(firstword $(PYTHONS)) VENV=$(VENVS)/floor CONSTRAINTS=requirements/floor.txt \
	  || failed="$$failed floor"; \
	test -z "$$failed" || { echo "the suite fails with:$$failed"; exit 1; }

test-wheel: $(STAMP)
	bash tools/misc/test_wheel.sh $(PY)

docs: $(VENVS)/docs/.stamp
	NO_MKDOCS_2_WARNING=1 $(VENVS)/docs/bin/mkdocs build --strict

$(VENVS)/docs/.stamp: requirements/docs.txt
	test -x $(VENVS)/docs/bin/python || $(PYTHON) -m venv $(VENVS)/docs
	$(VENVS)/docs/bin/pip --disable-pip-version-check install -q -r $<
	touch $@

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(STAMP)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

demo: $(STAMP)
	$(PY) tools/dataset_converters/make_shapes.py data/shapes
	$(PY) tools/train.py $(DEMO_CONFIG) --work-dir $(WORK) $(DEMO_OPTIONS)
	$(PY) tools/test.py $(DEMO_CONFIG) $(WORK)/latest.pth --work-dir $(WORK) --eval bbox --out $(WORK)/results.pkl
	$(PY) tools/analysis_tools/report.py $(DEMO_CONFIG) $(WORK) --results $(WORK)/results.pkl
	@printf '%s\n' 'next, with data of your own (docs/first_hour.md):' \
	  '  $(PY) tools/make_config.py --train ANNOTATIONS --out mine.py' \
	  '  $(PY) tools/train.py mine.py' \
	  '  $(PY) tools/predict.py PHOTO mine.py work_dirs/mine/latest.pth --out-file found.jpg'

bench: $(STAMP)
	$(PY) benchmarks/speed.py

clean:
	rm -rf $(VENV) $(VENVS) work_dirs data/shapes build dist site *.egg-info .pytest_cache .ruff_cache .mypy_cache
