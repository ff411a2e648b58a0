#!/usr/bin/env bash
# What needs no PyTorch, on another Python: bash .ci/check_python.sh python3.10
# The rest would have to compile MMCV again, so it is tested on one Python only.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT

"$1" -m venv "$SCRATCH/venv"
BIN=$SCRATCH/venv/bin
"$BIN/python" -m pip install --quiet --disable-pip-version-check 'setuptools>=80,<81' wheel
"$BIN/python" -m pip install --quiet --disable-pip-version-check \
    -r requirements/runtime.txt -r requirements/light.txt
"$BIN/python" -m pip wheel --quiet --no-deps --no-build-isolation -w "$SCRATCH" .
rm -rf build
"$BIN/python" -m pip install --quiet --no-deps "$SCRATCH"/mmcovid-*.whl

cd "$SCRATCH"
"$BIN/mmcovid" phantom --out phantom --size 96 --patients-per-class 1 --scans-per-class 0
"$BIN/mmcovid" verify phantom/annotations/lesions_train.json
"$BIN/mmcovid" audit train=phantom/annotations/lesions_train.json \
    test=phantom/annotations/lesions_test.json --images phantom/ct_lesion_seg/image
