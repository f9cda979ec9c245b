#!/usr/bin/env bash
# For a machine with a GPU and torch, but without a network: fetch the packages that it lacks into
# work_dirs/gpu_check/wheels, which is to be carried there with the checkout; run.sh installs them from it.
#
#   bash benchmarks/gpu_check/prepare.sh
#   PYTHON_VERSION=3.11 bash benchmarks/gpu_check/prepare.sh addict==2.4.0 pycocotools==2.0.11
#
# Without arguments these are the packages of requirements/runtime.txt that images with torch seldom have (2 MB).
set -euo pipefail
python=${PYTHON:-.venv/bin/python}
version=${PYTHON_VERSION:-3.12}
wheels=work_dirs/gpu_check/wheels
packages=("$@")
if [ ${#packages[@]} = 0 ]; then
  packages=(addict==2.4.0 yapf==0.40.1 importlib_metadata==8.7.0 platformdirs tomli pycocotools==2.0.11 terminaltables)
fi

rm -rf "$wheels"
mkdir -p "$wheels"
"$python" -m pip download -q --no-deps --only-binary=:all: --python-version "$version" --implementation cp \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
  -d "$wheels" "${packages[@]}"
# mmcv has no wheel; built without operators it serves every Python
"$python" -m pip wheel -q --no-deps --no-build-isolation -w "$wheels" mmcv==1.7.2
ls -l "$wheels"
