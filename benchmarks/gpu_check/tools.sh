#!/usr/bin/env bash
# The tools on drawn shapes, as a user runs them: one process, torchrun (NCCL on a GPU), fp16, bf16 with every option,
# resuming, two processes on one device, compiled parts. DEVICE, PYTHON and OUT as in run.sh, which calls this script;
# RUNS names the runs, all by default.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 3
PYTHON=${PYTHON:-python3} OUT=${OUT:-.}
export PYTHON
RUNS=${TOOL_RUNS:-train test train_dist test_dist train_fp16 train_bf16_options resume_fp16 train_dist_options two_ranks
  train_compiled}
if [ "${DEVICE:-cuda}" = cpu ]; then
  images=6 val=2 side=64 epochs=1 workers=0
  export CUDA_VISIBLE_DEVICES=
else
  images=160 val=40 side=192 epochs=2 workers=4
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()
"$PYTHON" tools/dataset_converters/make_shapes.py "$work/shapes" --clean $images --partial $images --val $val \
  --size $side > "$work/make_shapes.txt" || exit 3
cat > "$work/shapes.py" <<CONFIG
_base_ = ['$PWD/configs/demo/faster_rcnn_r18_fpn_mixed.py']
_root = '$work/shapes/'
_val = dict(ann_file=_root + 'annotations/val.json', img_prefix=_root + 'val/')
data = dict(
    workers_per_gpu=$workers,
    train=dict(datasets=[
        dict(type='CocoDataset', classes={{_base_.classes}}, ann_file=_root + 'annotations/clean.json',
             img_prefix=_root + 'clean/', pipeline={{_base_.train_pipeline}}),
        dict(type='CocoDataset', classes={{_base_.classes}}, ann_file=_root + 'annotations/partial.json',
             img_prefix=_root + 'partial/', pipeline={{_base_.train_pipeline}},
             directives=dict(ignore_negatives=1, **{'rpn_head.loss_weight': 0.5, 'roi_head.loss_weight': 0.5}))]),
    val=_val, test=_val)
runner = dict(type='EpochBasedRunner', max_epochs=$epochs)
evaluation = dict(interval=$epochs, metric='bbox')
log_config = dict(interval=5, hooks=[dict(type='TextLoggerHook')])
CONFIG
: > "$OUT/train_logs.txt"

# try NAME COMMAND...: one run, its last lines of log, and all of its output where it failed
try() {
  local name=$1 begin=$SECONDS status
  shift
  [[ " $(echo $RUNS) " == *" $name "* ]] || return 0
  PORT=$((PORT + 1)) # of the processes of a run; the last run's may not be free yet
  timeout "${TOOL_EACH:-100}" "$@" > "$work/$name.txt" 2>&1
  status=$?
  echo "---- $name: status $status after $((SECONDS - begin)) s"
  if [ $status != 0 ]; then
    failed+=("$name")
    tail -30 "$work/$name.txt"
  fi
  grep -E 'Epoch \[|bbox_mAP:' "$work/$name.txt" | tail -2 | cut -c1-300
  { echo "---- $name"; cat "$work/$name.txt"; } >> "$OUT/train_logs.txt"
}

config=$work/shapes.py
train=("$PYTHON" tools/train.py "$config" --seed 0)
amp=fp16.loss_scale=dynamic
options=(model.channels_last=True model.fixed_size=True data.pin_memory=True per_source_log=True)
export PORT=29541
try train "${train[@]}" --work-dir "$work/fp32"
try test "$PYTHON" tools/test.py "$config" "$work/fp32/latest.pth" --eval bbox --out "$work/one.pkl"
try train_dist bash tools/dist_train.sh "$config" 1 --seed 0 --work-dir "$work/dist"
try test_dist bash tools/dist_test.sh "$config" "$work/fp32/latest.pth" 1 --eval bbox --gpu-collect \
  --out "$work/two.pkl"
try train_fp16 "${train[@]}" --work-dir "$work/fp16" --cfg-options $amp
try train_bf16_options "${train[@]}" --work-dir "$work/bf16" --cfg-options fp16.dtype=bfloat16 "${options[@]}"
try resume_fp16 "${train[@]}" --work-dir "$work/fp16" --auto-resume --cfg-options $amp \
  runner.max_epochs=$((epochs + 1)) evaluation.interval=1
try train_dist_options bash tools/dist_train.sh "$config" 1 --seed 0 --work-dir "$work/dist2" \
  --cfg-options $amp model.channels_last=True
try two_ranks bash tools/dist_train.sh "$config" 2 --seed 0 --work-dir "$work/two" \
  --cfg-options dist_params.backend=gloo
if [ "${DEVICE:-cuda}" != cpu ]; then # on a CPU it needs a compiler
  try train_compiled "${train[@]}" --work-dir "$work/compiled" --no-validate \
    --cfg-options "model.compile=dict(parts=['backbone'])" runner.max_epochs=1
fi
if [ -f "$work/one.pkl" ] && [ -f "$work/two.pkl" ]; then
  "$PYTHON" - "$work/one.pkl" "$work/two.pkl" <<'COMPARE' || failed+=(compare)
import pickle, sys
import numpy as np
one, two = (pickle.load(open(path, 'rb')) for path in sys.argv[1:])
pairs = [(a, b) for image, other in zip(one, two, strict=True) for a, b in zip(image, other, strict=True)]
gap = max(np.abs(a - b).max(initial=0) if a.shape == b.shape else np.inf for a, b in pairs)
print(f'one process against torchrun: {len(one)} images, greatest difference {gap:.2g}')
sys.exit(int(gap > 0.01))
COMPARE
fi
echo "---- failed: ${failed[*]:-nothing}"
[ ${#failed[@]} = 0 ]
