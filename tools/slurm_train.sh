#!/usr/bin/env bash
# Train under Slurm: [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SRUN_ARGS=...] \
#   tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]
#
# Slurm sends SIGUSR1 GRACE (120) seconds before the time limit, SIGTERM at preemption: the run writes a checkpoint, ends
# with status 75 and goes on with --auto-resume: as a new step in the queue, or with its job where sbatch runs this
# script (sbatch --requeue).
set -euo pipefail

if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]" >&2
    exit 2
fi
GPUS=${GPUS:-8}
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
GPUS_PER_NODE=$((GPUS < GPUS_PER_NODE ? GPUS : GPUS_PER_NODE))
TOOLS=$(cd "$(dirname "$0")" && pwd)

RESUME=()
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
    RESUME=(--auto-resume)
fi

while true; do
    status=0
    # SRUN_ARGS holds several words
    # shellcheck disable=SC2086
    PYTHONPATH="$TOOLS/..:${PYTHONPATH:-}" srun -p "$1" \
        --job-name="$2" \
        --gres="gpu:$GPUS_PER_NODE" \
        --ntasks="$GPUS" \
        --ntasks-per-node="$GPUS_PER_NODE" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        --signal="USR1@${GRACE:-120}" \
        ${SRUN_ARGS:-} \
        "${PYTHON:-python}" -u "$TOOLS/train.py" "$3" --work-dir="$4" --launcher=slurm "${@:5}" \
        ${RESUME[@]+"${RESUME[@]}"} || status=$?
    if [ "$status" -ne 75 ]; then # 75: a checkpoint was written, and the run can go on
        exit "$status"
    fi
    if [ -n "${SLURM_JOB_ID:-}" ]; then # within sbatch: the whole job comes again
        scontrol requeue "$SLURM_JOB_ID"
        exit 75
    fi
    RESUME=(--auto-resume)
done
