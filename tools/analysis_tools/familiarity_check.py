"""How well a published model tells what is unlike its training data; see docs/en/familiarity.md.

The test slices of its config, which neither the statistics nor the threshold were made of, against
the same ones altered, against scans of the same kind through other windows or without lungs, and
against other CTs. Also the share of computing time that the distance takes.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from mmcovid.apis import OneShotInferencer
from mmcovid.apis.familiarity import pool_features
from mmcovid.apis.run_inputs import list_inputs
from mmcovid.ct import (
    LEVEL,
    WIDTH,
    apply_window,
    find_lungs,
    find_region,
    read_slice,
    read_volume,
    to_grey,
)
from mmcovid.datasets.of_config import slices_of_role
from mmcovid.statistics.mahalanobis import mahalanobis_distance
from mmcovid.utils.files import write_json

#: Level and width in HU.
WINDOWS = {'soft tissue': (40, 400), 'bone': (400, 1800), 'wide': (-600, 3000)}
AIR, TISSUE = -1000, 40  # HU
NUM_DRAWN = 40


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('weights', help='of mmcovid publish --familiarity')
    parser.add_argument(
        '--scans', nargs='*', default=[], type=Path, help='volumes like the training data, in HU'
    )
    parser.add_argument(
        '--others',
        nargs='*',
        default=[],
        metavar='NAME=PATH',
        help='volumes or folders of pictures that are unlike the training data, each with a name',
    )
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--out', type=Path, help='write the figures to this JSON file')
    args = parser.parse_args()
    if unnamed := [other for other in args.others if '=' not in other]:
        parser.error(f'--others {unnamed[0]}: give it a name, NAME=PATH')
    return args


def altered(greys: list[np.ndarray], rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Slices (H, W) of 8 bit, altered in ways by name."""
    return {
        'noise, 10 % of the range': [_clip(x + rng.normal(0, 25.5, x.shape)) for x in greys],
        'noise, 25 % of the range': [_clip(x + rng.normal(0, 63.75, x.shape)) for x in greys],
        'blurred, σ of 4 pixels': [cv2.GaussianBlur(x, (0, 0), 4) for x in greys],
        'cropped to 70 %': [crop(x, 0.7) for x in greys],
        'cropped to 50 %': [crop(x, 0.5) for x in greys],
        'upside down': [x[::-1].copy() for x in greys],
        'turned by 90°': [np.rot90(x).copy() for x in greys],
        'left and right exchanged': [x[:, ::-1].copy() for x in greys],
        'black and white exchanged': [255 - x for x in greys],
        'half the contrast, brighter': [x / 2 + 100 for x in greys],
        'noise alone': [
            rng.uniform(0, 255, greys[0].shape).astype(np.float32) for _ in range(NUM_DRAWN)
        ],
        'empty air': [
            window(rng.normal(AIR, 20, greys[0].shape), (LEVEL, WIDTH)) for _ in range(NUM_DRAWN)
        ],
    }


def crop(grey: np.ndarray, share: float) -> np.ndarray:
    """The middle of a slice (H, W)."""
    margins = [round(size * (1 - share) / 2) for size in grey.shape]
    return grey[tuple(slice(margin, -margin) for margin in margins)].copy()


def window(hu: np.ndarray, level_and_width: tuple[float, float]) -> np.ndarray:
    """Grey values (H, W) of HU."""
    return apply_window(hu, *level_and_width).astype(np.float32)


def without_lungs(hu: np.ndarray) -> np.ndarray:
    """A slice (H, W) in HU whose lungs are soft tissue, as that of another part of the body."""
    return np.where(find_lungs(hu) & (hu < -200), TISSUE, hu)


def of_scans(scans: list[Path]) -> dict[str, list[np.ndarray]]:
    """Slices that show the lung, as they are, through other windows, and without the lung."""
    slices = []
    for path in scans:
        volume = read_volume(path)
        slices += [volume.array[i] for i in find_region(volume, 'lung')]
    sets = {'whole scans': [window(hu, (LEVEL, WIDTH)) for hu in slices]}
    for name, level_and_width in WINDOWS.items():
        sets[f'whole scans, {name} window'] = [window(hu, level_and_width) for hu in slices]
    sets['whole scans, no lungs'] = [window(without_lungs(hu), (LEVEL, WIDTH)) for hu in slices]
    return sets if slices else {}


def of_others(others: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Slices of other CTs; those of a volume that do not show the lung also apart."""
    for other in others:
        name, _, path = other.partition('=')
        slices = list_inputs(path)
        yield name, slices
        if Path(path).is_file():
            lung = find_region(read_volume(path), 'lung')
            if beside := [each for i, each in enumerate(slices) if i not in lung]:
                yield f'{name}, no lung in it', beside


def _clip(grey: np.ndarray) -> np.ndarray:
    return grey.clip(0, 255).astype(np.float32)


def share_of_time(inferencer: OneShotInferencer, paths: list[str]) -> float:
    """Share of the CPU time of predictions that the distance takes."""
    module, inside = inferencer.model.feature_distance, 0.0
    add_to = module.add_to

    def watched(*args):
        nonlocal inside
        start = time.process_time()
        add_to(*args)
        inside += time.process_time() - start

    list(inferencer.predict(paths[:1]))
    module.add_to = watched
    start = time.process_time()
    list(inferencer.predict(paths))
    whole = time.process_time() - start
    del module.add_to
    return inside / whole


def main():
    args = parse_args()
    inferencer = OneShotInferencer(None, args.weights, device=args.device, show_progress=False)
    threshold = inferencer.distance_threshold
    if threshold is None:
        raise SystemExit(f'error: {args.weights}: publish it with --familiarity')
    module = inferencer.model.feature_distance
    mean, whitening = (each.double().cpu().numpy() for each in (module.mean, module.whitening))

    def distances_of(slices, name):
        return mahalanobis_distance(pool_features(inferencer, slices, name), mean, whitening)

    slices = slices_of_role(inferencer.cfg, 'test')
    paths = [info['img_path'] for info in slices]
    held_out = distances_of(paths, 'test slices')
    by_patient = {info['patient_id']: [] for info in slices}
    for info, distance in zip(slices, held_out):
        by_patient[info['patient_id']].append(distance)
    means = np.array([np.mean(each) for each in by_patient.values()])

    greys = [to_grey(read_slice(path, (LEVEL, WIDTH)), path).astype(np.float32) for path in paths]
    sets = altered(greys, np.random.default_rng(0)) | of_scans(args.scans)
    sets |= dict(of_others(args.others))
    rows = []
    for name, each in sets.items():
        distances = distances_of(each, name)
        truth = [0] * len(held_out) + [1] * len(distances)
        auroc = roc_auc_score(truth, np.concatenate([held_out, distances]))
        rows.append(
            dict(
                slices=name,
                number=len(each),
                auroc=auroc,
                median=float(np.median(distances)),
                above=float((distances > threshold).mean()),
            )
        )
    figures = dict(
        threshold=threshold,
        held_out=dict(
            slices=len(held_out),
            median=float(np.median(held_out)),
            above=int((held_out > threshold).sum()),
            patients=len(means),
            patients_above=int((means > threshold).sum()),
        ),
        sets=rows,
        share_of_cpu_time=share_of_time(inferencer, paths[:NUM_DRAWN]),
    )
    print(
        'threshold {threshold:.3g}; of the test set {held_out[above]} of {held_out[slices]} slices '
        'and {held_out[patients_above]} of {held_out[patients]} patients are above it, median '
        '{held_out[median]:.3g}; {share_of_cpu_time:.2%} of the CPU time'.format(**figures)
    )
    print('\n| slices | number | AUROC | median | above the threshold |\n|---|---:|---:|---:|---:|')
    for row in rows:
        print('| {slices} | {number} | {auroc:.3f} | {median:.3g} | {above:.0%} |'.format(**row))
    if args.out:
        write_json(figures, args.out)


if __name__ == '__main__':
    main()
