#!/usr/bin/env bash
# Generate the phantom, train on it, test, draw, report, read three whole scans, export the model
# and read them again without the framework:
# tools/demo.sh [options of mmcovid train]
# PYTHON and WORK_DIR in the environment change the defaults; FRESH=1 trains anew; SHORT=1 trains for
# ten iterations, tests a few slices and reads one scan.
# Without it a finished training is kept and a broken one goes on.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-python}
DATA=data/phantom
WORK_DIR=${WORK_DIR:-work_dirs/demo}
CONFIG=configs/phantom/one-shot_r18_fpn_lstm2_phantom.py
TEST_OPTIONS=(--work-dir "$WORK_DIR")
if [ -n "${SHORT:-}" ]; then
    set -- "$@" --cfg-options train_cfg.max_iters=10 val_dataloader.dataset.{seg,cls}.indices=8
    # slices of all classes
    TEST_OPTIONS+=(--cfg-options test_dataloader.dataset.seg.indices=8
        'test_dataloader.dataset.cls.indices=[0,1,2,3,56,57,58,59,116,117,118,119]')
fi

"$PYTHON" -m mmcovid doctor

if [ ! -d "$DATA/scans" ]; then # --overwrite: former versions made no scans
    "$PYTHON" -m mmcovid phantom --out "$DATA" --overwrite
fi

if [ -n "${FRESH:-}" ]; then
    rm -f "$WORK_DIR/finished" "$WORK_DIR/last_checkpoint"
fi
if [ ! -e "$WORK_DIR/finished" ]; then
    "$PYTHON" -m mmcovid train "$CONFIG" --work-dir "$WORK_DIR" --resume "$@"
    touch "$WORK_DIR/finished"
fi

CHECKPOINT=$(cat "$WORK_DIR/last_checkpoint")
rm -rf "$WORK_DIR/pictures"
"$PYTHON" -m mmcovid test "$CONFIG" "$CHECKPOINT" "${TEST_OPTIONS[@]}" \
    --show-dir "$WORK_DIR/pictures" --out "$WORK_DIR/predictions.pkl"
"$PYTHON" -m mmcovid report "$WORK_DIR/predictions.pkl" --out "$WORK_DIR/report"
SCANS=("$DATA"/scans/*.nii.gz)
[ -z "${SHORT:-}" ] || SCANS=("${SCANS[0]}")
"$PYTHON" -m mmcovid infer "${SCANS[@]}" --config "$CONFIG" --weights "$CHECKPOINT" \
    --out "$WORK_DIR/scans" --overwrite

# The same scans by the exported model, where none of the framework can be imported.
"$PYTHON" -m mmcovid export "$CHECKPOINT" --config "$CONFIG" --out "$WORK_DIR/model.onnx" \
    --overwrite
"$PYTHON" - "${SCANS[@]}" --weights "$WORK_DIR/model.onnx" \
    --out "$WORK_DIR/scans_exported" --overwrite <<'END'
import sys

sys.modules.update(dict.fromkeys(['torch', 'mmcv', 'mmengine', 'mmdet']))

from mmcovid.cli import run_infer

sys.exit(run_infer())
END
"$PYTHON" tools/misc/compare_scans.py "$WORK_DIR/scans" "$WORK_DIR/scans_exported"

cat <<END
table:      $WORK_DIR/test_results.json
pictures:   $WORK_DIR/pictures
evaluation: $WORK_DIR/report/report.html
scans:      $WORK_DIR/scans
exported:   $WORK_DIR/model.onnx, $WORK_DIR/scans_exported
model card: $WORK_DIR/model_card.md
END
