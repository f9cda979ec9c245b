#!/usr/bin/env bash
# What a machine with a GPU can tell in ten minutes: the tests that use a GPU, detectors against the CPU, the tools,
# host-device synchronisations, and speed against torchvision. In the root of a checkout:
#
#   bash benchmarks/gpu_check/run.sh
#   DEVICE=cpu bash benchmarks/gpu_check/run.sh     the same in small sizes, to try the script itself
#
# Results in OUT: log.txt env.txt tests.txt detectors.json tools.txt train_logs.txt syncs.txt speed.txt.
# The status is 1 where a part failed. A machine without a network: see prepare.sh.
#
# Variables, each with its default:
#   OUT=work_dirs/gpu_check/out   BUDGET=560 (seconds in all)   PYTHON=.venv/bin/python, else python3
#   PARTS="tests detectors tools syncs speed"   DETECTORS="" (names of cases.py; all)   TESTS="" (paths; those below)
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../.." || exit 3
DEVICE=${DEVICE:-cuda} BUDGET=${BUDGET:-560} OUT=${OUT:-work_dirs/gpu_check/out}
PARTS=${PARTS:-tests detectors tools syncs speed}
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
TESTS=${TESTS:-tests/runtime tests/utils tests/apis tests/ops tests/core/hook tests/models/options
  tests/models/domain tests/datasets/memory}
if [ "$DEVICE" = cpu ]; then
  export CUDA_VISIBLE_DEVICES=
  SYNC_SIZE=64x96 SPEED_SIZE=64x96 BATCHES=2 RUNS=1
  DETECTORS=${DETECTORS:-faster_rcnn retinanet}
else
  SYNC_SIZE=800x1344 SPEED_SIZE=800x1344 BATCHES='8 2' RUNS=${RUNS:-7}
fi
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
export OUT DEVICE PYTHON PYTHONUNBUFFERED=1 PYTHONWARNINGS=ignore MPLBACKEND=Agg PYTHONDONTWRITEBYTECODE=1
exec > >(tee "$OUT/log.txt") 2>&1
FAILED=()

left() { echo $((BUDGET - SECONDS)); }
wanted() { [[ " $PARTS " == *" $1 "* ]]; }

# part NAME SECONDS COMMAND...: at most so long, and at most what is left of the budget
part() {
  local name=$1 limit=$2 begin=$SECONDS rest status
  shift 2
  rest=$(left)
  if [ "$rest" -lt 15 ]; then
    echo "== $name: left out, $rest s are left"
    FAILED+=("$name")
    return 1
  fi
  [ "$limit" -le "$rest" ] || limit=$rest
  echo "== $name (at most $limit s of $rest s left)"
  timeout -k 5 "$limit" "$@"
  status=$?
  echo "== $name: status $status after $((SECONDS - begin)) s"
  [ $status = 0 ] || FAILED+=("$name")
  return $status
}

# ---- packages that were carried along, where they are missing
shopt -s nullglob
wheels=(work_dirs/gpu_check/wheels/*.whl)
if [ ${#wheels[@]} -gt 0 ] && ! "$PYTHON" -c 'import mmcv, pycocotools, terminaltables' 2> /dev/null; then
  site=$(mktemp -d)
  part install 90 "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" \
    "${wheels[@]}" || exit 3
fi
export PYTHONPATH=$PWD${site:+:$site}${PYTHONPATH:+:$PYTHONPATH}
{ nvidia-smi; "$PYTHON" -m mmdet.utils.collect_env; } > "$OUT/env.txt" 2>&1
grep -E '^(Python|GPU 0|PyTorch|TorchVision|MMCV|MMDetection|CUDA available):' "$OUT/env.txt"

# ---- tests, beside the next parts, on processors that these do not need
if wanted tests; then
  jobs=$(($(nproc) > 4 ? $(nproc) - 4 : 1))
  set -m # a process group of its own, to be ended as a whole
  # shellcheck disable=SC2086
  (OMP_NUM_THREADS=1 timeout -k 5 "${TEST_LIMIT:-260}" "$PYTHON" -m pytest -p no:cacheprovider -n "$jobs" \
    --dist worksteal -v --tb=short --maxfail=60 $TESTS > "$OUT/tests.txt" 2>&1) &
  tests=$!
  set +m
fi

# shellcheck disable=SC2086
if wanted detectors; then
  part detectors "${DETECTOR_LIMIT:-170}" "$PYTHON" "$HERE/detectors.py" --device "$DEVICE" \
    --out "$OUT/detectors.json" ${DETECTORS:+--models $DETECTORS}
fi
if wanted tools; then
  part tools "${TOOL_LIMIT:-150}" bash "$HERE/tools.sh" > "$OUT/tools.txt" 2>&1
  cat "$OUT/tools.txt"
fi

# ---- what is timed is timed alone
if wanted tests; then
  while kill -0 $tests 2>/dev/null && [ "$(left)" -gt $((BUDGET * 2 / 5)) ]; do sleep 1; done
  if kill -0 $tests 2>/dev/null; then
    echo '== tests: ended, for they would disturb what is timed'
    kill -- -$tests 2>/dev/null
  fi
  wait $tests 2>/dev/null || FAILED+=(tests)
  echo "== tests: $(tail -1 "$OUT/tests.txt")"
  grep -E '^(FAILED|ERROR)' "$OUT/tests.txt" | cut -c1-300 | head -40
fi
if wanted syncs; then
  part syncs 75 "$PYTHON" benchmarks/host_syncs.py --device "$DEVICE" --size $SYNC_SIZE --list > "$OUT/syncs.txt" 2>&1
  grep -E '^\||^==|Error' "$OUT/syncs.txt"
fi

# speed ARGUMENTS...: one process a row or two, the most telling first, so that what is done is kept
speed() {
  part "speed $*" "${SPEED_LIMIT:-75}" "$PYTHON" benchmarks/speed.py --device "$DEVICE" --sizes $SPEED_SIZE \
    --runs "$RUNS" "$@" > "$OUT/one_speed.txt" 2>&1
  grep -E '^\||^==|Error' "$OUT/one_speed.txt"
  cat "$OUT/one_speed.txt" >> "$OUT/speed.txt"
}
if wanted speed; then
  : > "$OUT/speed.txt"
  all='dict(channels_last=True, fold_norm=True, fixed_size=True)'
  for batch in $BATCHES; do
    speed --models faster_rcnn --batches "$batch" --dtypes fp32 bf16 --options "$all"
    [ "$DEVICE" = cpu ] && break # one run shows that the script works
    speed --models faster_rcnn --batches "$batch" --dtypes bf16
    speed --models mask_rcnn retinanet --batches "$batch" --dtypes bf16 --options "$all"
  done
  if [ "$DEVICE" != cpu ]; then
    speed --models faster_rcnn --batches 1 --dtypes fp32 bf16 --steps infer --options "$all"
    SPEED_LIMIT=120 speed --models faster_rcnn --batches 8 --dtypes bf16 \
      --options 'dict(channels_last=True, fold_norm=True, fixed_size=True, compile=dict(parts=["backbone", "neck"]))'
    speed --roi-align
  fi
  rm -f "$OUT/one_speed.txt"
fi
echo "== done after $SECONDS s; failed: ${FAILED[*]:-nothing}"
[ ${#FAILED[@]} = 0 ]
