#!/usr/bin/env bash
# Build the source archive and the wheel, install the wheel away from the checkout, and use it there:
# test_wheel.sh PYTHON. The new environment sees torch and the other packages of PYTHON's, but not its mmdet.
set -euo pipefail
python=$(command -v "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUDA_VISIBLE_DEVICES='' MPLBACKEND=Agg
unset PYTHONPATH

echo '== build'
mkdir -p "$work/source" "$work/empty"
(cd "$root" && git ls-files -z | xargs -0 cp --parents -t "$work/source")
"$python" -m venv "$work/env"
env=$work/env/bin
site='import sysconfig; print(sysconfig.get_paths()["purelib"])'
# a path file within a folder that a path file names is not read, so the editable mmdet there stays unknown
"$python" -c "$site" > "$("$env/python" -c "$site")/others.pth"
"$env/pip" --disable-pip-version-check install -q build
(cd "$work/source" && "$env/python" -m build --no-isolation --outdir "$work/dist" > "$work/build.log" 2>&1) \
  || { tail -30 "$work/build.log"; exit 1; }
ls -l "$work/dist"

echo '== install'
"$env/pip" --disable-pip-version-check install -q --no-deps --ignore-installed "$work"/dist/mmdet-*.whl
cd "$work/empty"
"$env/python" - "$work" <<'PYTHON'
import sys
from pathlib import Path
import mmdet
assert mmdet.__file__.startswith(sys.argv[1]), mmdet.__file__
package = Path(mmdet.__file__).parent
for folder in ('configs', 'tools', 'demo'):
    there = {p.relative_to(package / '.mim').as_posix() for p in (package / '.mim' / folder).rglob('*') if p.is_file()}
    source = Path(sys.argv[1], 'source')
    expected = {p.relative_to(source).as_posix() for p in (source / folder).rglob('*') if p.is_file()}
    missing = {name for name in expected - there if not name.endswith('ruff.toml')}
    assert not missing and len(there) > 3, sorted(missing)
PYTHON

echo '== use'
config=configs/demo/faster_rcnn_r18_fpn_mixed.py
small=(data.workers_per_gpu=0 data.persistent_workers=False runner.max_epochs=1 model.backbone.base_channels=8 model.backbone.stem_channels=8
  'model.neck.in_channels=[8,16,32,64]' checkpoint_config.interval=1 evaluation.interval=1)
"$env/mmdet" --version
"$env/mmdet" > usage.txt
"$env/mmdet" configs demo
"$env/mmdet" make-shapes data/shapes --clean 6 --partial 6 --val 2 --size 64
"$env/mmdet" train "$config" --work-dir work --cfg-options "${small[@]}" > train.log 2>&1 || { tail -30 train.log; exit 1; }
"$env/mmdet" test "$config" work/latest.pth --eval bbox --cfg-options "${small[@]}" | tail -3
"$env/mmdet" predict data/shapes/val "$config" work/latest.pth --out-dir out --score-thr 0 --cfg-options "${small[@]}"
test -s out/detections.json
echo "the wheel works"
