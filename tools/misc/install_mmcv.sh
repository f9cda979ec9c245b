#!/usr/bin/env bash
# Install one kind of mmcv 1.7.x into the environment of PYTHON:  install_mmcv.sh PYTHON mmcv|mmcv-full VERSION
# With --check before these, only say whether that can be done; nothing is downloaded.
# mmcv needs no compiler. mmcv-full is compiled against the torch that is there, so its wheel is never taken from a
# cache: pip keeps one a version, not one a torch.
set -euo pipefail
check=
if [ "${1-}" = --check ]; then check=1; shift; fi
python=$1 kind=$2 version=$3
here=$(cd "$(dirname "$0")" && pwd)

refuse() { echo "$*" >&2; exit 2; }

case $kind in
  mmcv) other=mmcv-full ;;
  mmcv-full) other=mmcv ;;
  *) refuse "unknown kind of mmcv: '$kind'; it is mmcv or mmcv-full" ;;
esac
case $version in
  1.7.*) ;;
  *) refuse "$kind $version is not supported; mmdet is written for mmcv 1.7.x, such as 1.7.2" ;;
esac
found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') \
  || refuse "'$python' is no Python that runs; name one of 3.10 to 3.13, as in: make install PYTHON=python3.12"
case $found in
  3.10 | 3.11 | 3.12 | 3.13) ;;
  *) refuse "Python $found ($python) is not supported: mmcv 1.7.x runs on 3.10 to 3.13 here;" \
            "name one of these, as in: make install PYTHON=python3.12" ;;
esac
if [ "$kind" = mmcv-full ] && ! command -v "${CXX:-c++}" > /dev/null; then
  refuse "mmcv-full is compiled, and there is no C++ compiler '${CXX:-c++}'; install one (Debian: apt install g++)," \
         "set CXX, or take MMCV=mmcv, which needs none"
fi
if [ -n "$check" ]; then exit 0; fi

has() { "$python" -c "import importlib.metadata as m; raise SystemExit(m.version('$1') != '$2')" 2>/dev/null; }

if "$python" -c "import importlib.metadata as m; m.version('$other')" 2>/dev/null; then
  "$python" -m pip uninstall -q -y mmcv mmcv-full  # both write the folder mmcv/
fi
if has "$kind" "$version"; then
  exit 0
fi
export PYTHONPATH=$here/mmcv_build${PYTHONPATH:+:$PYTHONPATH}  # mends what the setup.py of either kind asks of Python
if [ "$kind" = mmcv ]; then
  exec "$python" -m pip install -q --no-build-isolation "mmcv==$version"
fi

"$python" -c 'import torch' 2> /dev/null || refuse "mmcv-full is compiled against torch; install torch first"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip install -q ninja psutil
"$python" -m pip download -q --no-deps --no-binary :all: --no-build-isolation -d "$work" "mmcv-full==$version"
tar -xzf "$work"/mmcv[-_]full-*.tar.gz -C "$work"
# the headers of torch need the C++ that torch builds extensions with; the setup of mmcv 1.7.x asks for less
standard=$("$python" -c 'import re, torch.utils.cpp_extension as e
print(max(re.findall(r"-std=c[+][+]\d+", open(e.__file__).read())))')
sed -i -E "s/-std=c\+\+(14|17)/$standard/g" "$work"/mmcv[-_]full-*/setup.py
MMCV_WITH_OPS=1 "$python" -m pip install --no-cache-dir --no-build-isolation "$work"/mmcv[-_]full-*/
