#!/usr/bin/env bash
# Generate the phantom, train on it, test and draw: tools/demo.sh [options of train.py]
# PYTHON and WORK_DIR in the environment change the defaults; FRESH=1 trains anew.
# Without it a finished training is kept and a broken one goes on.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-python}
DATA=data/phantom
WORK_DIR=${WORK_DIR:-work_dirs/demo}
CONFIG=configs/phantom/one-shot_r18_fpn_lstm2_phantom.py

"$PYTHON" -m mmcovid.utils.doctor

if [ ! -d "$DATA" ]; then
    "$PYTHON" tools/dataset_converters/phantom.py --out "$DATA"
fi

if [ -n "${FRESH:-}" ]; then
    rm -f "$WORK_DIR/finished" "$WORK_DIR/last_checkpoint"
fi
if [ ! -e "$WORK_DIR/finished" ]; then
    "$PYTHON" tools/train.py "$CONFIG" --work-dir "$WORK_DIR" --resume "$@"
    touch "$WORK_DIR/finished"
fi

rm -rf "$WORK_DIR/pictures"
"$PYTHON" tools/test.py "$CONFIG" "$(cat "$WORK_DIR/last_checkpoint")" \
    --work-dir "$WORK_DIR" --show-dir "$WORK_DIR/pictures"
echo "pictures: $WORK_DIR/pictures"
echo "table:    $WORK_DIR/test_results.json"
