#!/usr/bin/env bash
# Install one kind of mmcv 1.7.x into the environment of PYTHON:  install_mmcv.sh PYTHON mmcv|mmcv-full VERSION
# mmcv needs no compiler. mmcv-full is compiled against the torch that is there, so its wheel is never taken from a
# cache: pip keeps one a version, not one a torch.
set -euo pipefail
python=$1 kind=$2 version=$3

case $kind in
  mmcv) other=mmcv-full ;;
  mmcv-full) other=mmcv ;;
  *) echo "unknown kind of mmcv: '$kind'; it is mmcv or mmcv-full" >&2; exit 2 ;;
esac

has() { "$python" -c "import importlib.metadata as m; raise SystemExit(m.version('$1') != '$2')" 2>/dev/null; }

if "$python" -c "import importlib.metadata as m; m.version('$other')" 2>/dev/null; then
  "$python" -m pip uninstall -q -y mmcv mmcv-full  # both write the folder mmcv/
fi
if has "$kind" "$version"; then
  exit 0
fi
if [ "$kind" = mmcv ]; then
  exec "$python" -m pip install -q --no-build-isolation "mmcv==$version"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip install -q ninja psutil
"$python" -m pip download -q --no-deps --no-binary :all: --no-build-isolation -d "$work" "mmcv-full==$version"
tar -xzf "$work"/mmcv-full-*.tar.gz -C "$work"
# recent torch headers need C++20, the setup of mmcv 1.7.x asks for less
sed -i -E 's/-std=c\+\+(14|17)/-std=c++20/g' "$work"/mmcv-full-*/setup.py
MMCV_WITH_OPS=1 "$python" -m pip install --no-cache-dir --no-build-isolation "$work"/mmcv-full-*/
