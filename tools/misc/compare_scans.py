"""Compare two folders that "mmcovid infer" wrote, such as of a model and of its exported file.

Its exit status is 1 if a scan has another class, a score that differs by more than 0.001, or masks
that differ in more than one voxel of a thousand.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813

SCORE, SHARE = 1e-3, 1e-3


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('first', type=Path, help='folder of scans')
    parser.add_argument('second', type=Path, help='folder of the same scans')
    return parser.parse_args()


def compare(first: Path, second: Path) -> tuple[bool, str]:
    """Whether two results of a scan are the same, and how far they are apart."""
    told = [json.loads((folder / 'results.json').read_text()) for folder in (first, second)]
    classes = [each['classification'] for each in told]
    apart = max(
        abs(score - classes[1]['scores'][name]) for name, score in classes[0]['scores'].items()
    )
    labels = [
        sitk.GetArrayFromImage(sitk.ReadImage(str(folder / 'labels.nii.gz')))
        for folder in (first, second)
    ]
    differ = int((labels[0] != labels[1]).sum())
    voxels = int(np.logical_or(*labels).sum())
    same = (
        classes[0]['class'] == classes[1]['class'] and apart <= SCORE and differ <= SHARE * voxels
    )
    return same, (
        f'{classes[0]["class"]} and {classes[1]["class"]}, scores differ by up to {apart:.1e}, '
        f'masks in {differ} of {voxels} voxels'
    )


def main():
    args = parse_args()
    names = sorted(path.parent.name for path in args.first.glob('*/results.json'))
    missing = [name for name in names if not (args.second / name / 'results.json').is_file()]
    if missing or not names:
        sys.exit(f'error: {args.second} lacks {", ".join(missing) or "scans"}')
    results = [compare(args.first / name, args.second / name) for name in names]
    for name, (same, sentence) in zip(names, results):
        print(f'{name}: {"same" if same else "DIFFERENT"}: {sentence}')
    sys.exit(not all(same for same, _ in results))


if __name__ == '__main__':
    main()
