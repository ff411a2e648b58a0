#!/usr/bin/env bash
# What only a machine with a GPU can show: the tests marked cuda, and speeds.
#
#   tools/misc/cuda_check.sh [OUT]
#
# installs into .venv, with MMCV built for CUDA and onnxruntime-gpu, and writes logs, tables and JSON
# to OUT (default: work_dirs/cuda_check). With PYTHON=... that Python is used as it
# is. A step that fails does not stop the others; the exit status tells how many did.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

OUT=${1:-work_dirs/cuda_check}
mkdir -p "$OUT"
if [ -z "${PYTHON:-}" ]; then
    FORCE_CUDA=1 make install || exit 1
    PYTHON=.venv/bin/python
    # the two are one module, which must be onnxruntime-gpu's
    "$PYTHON" -m pip uninstall --quiet --yes onnxruntime
    "$PYTHON" -m pip install --quiet -r requirements/export.txt 'onnxruntime-gpu[cuda,cudnn]'
fi
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
CONFIGS=configs/one_shot
FAILED=0

step() {
    local name=$1
    shift
    printf '\n=== %s (%d s)\n' "$name" "$SECONDS"
    "$@" 2>"$OUT/$name.err" | tee "$OUT/$name.log" || {
        echo "FAILED: $name; the end of $OUT/$name.err:"
        tail -n 15 "$OUT/$name.err"
        FAILED=$((FAILED + 1))
    }
}

step doctor "$PYTHON" -m mmcovid doctor
step tests "$PYTHON" -m pytest -q -m cuda tests/test_cuda.py --durations=5
# PyTorch, one slice at a time, in full precision: as the author's release predicts
step inference "$PYTHON" tools/analysis_tools/benchmark_inference.py \
    "$CONFIGS"/one-shot_{r18,r50}_fpn_lstm2_cncb.py \
    --batch-sizes 1 8 32 --pytorch full mixed --rounds 3 --out "$OUT/inference.json"
step exported "$PYTHON" tools/analysis_tools/benchmark_inference.py \
    "$CONFIGS"/one-shot_{r18,r50}_fpn_lstm2_cncb.py \
    --device cuda --engines onnxruntime --rounds 3 --out "$OUT/exported.json"
step training "$PYTHON" tools/analysis_tools/benchmark.py \
    "$CONFIGS"/one-shot_{r18,r50}_fpn_lstm2_cncb.py \
    --training --batch-sizes 1 8 --rounds 5 --out "$OUT/training.json"
step scan "$PYTHON" tools/analysis_tools/benchmark_scan.py \
    --config one-shot_r18_fpn_lstm2_cncb --device cuda --batch-size 8 --pictures \
    --out "$OUT/scan.json"
exit "$FAILED"
