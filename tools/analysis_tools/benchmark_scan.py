"""Time of a whole scan, from the file to the page, and how much of it the network takes.

The scan is a phantom's, drawn on the spot: a NIfTI volume, or pictures with --pictures.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from mmcovid.data_tools.phantom.dataset import write_scan
from mmcovid.data_tools.phantom.patients import draw_patient, render_slice
from mmcovid.deployment.onnx_predictor import OnnxPredictor
from mmcovid.scans import Settings, run_scans
from mmcovid.utils.files import write_json


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--weights', help='checkpoint, or .onnx file (default: random weights)')
    parser.add_argument('--config', help='config of a checkpoint, or of random weights')
    parser.add_argument('--device')
    parser.add_argument('--engine', default='onnxruntime')
    parser.add_argument('--precision', help='default: that of the file')
    parser.add_argument('--slices', type=int, default=300)
    parser.add_argument('--size', type=int, default=512, help='height and width of a slice')
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--score-thr', type=float, default=0.3)
    parser.add_argument('--pictures', action='store_true', help='pictures instead of a volume')
    parser.add_argument('--out', type=Path, help='write the figures to this JSON file')
    return parser.parse_args()


def draw_scan(folder: Path, slices: int, size: int, pictures: bool) -> Path:
    """A phantom of COVID-19, from the feet to the head."""
    patient = draw_patient(0, 0, label=2)
    if pictures:
        path = folder / 'scan'
        path.mkdir()
        for i, level in enumerate(np.linspace(1, 0, slices)):
            cv2.imwrite(str(path / f'{i:03d}.png'), render_slice(patient, level, size)[0])
        return path
    name = write_scan(folder, patient, 0, slices, size).split()[0]
    return folder / 'scans' / name


class Stopwatch:
    """Seconds that a function has taken in all."""

    def __init__(self, function) -> None:
        self.function = function
        self.seconds = 0.0

    def __call__(self, *args, **kwargs):
        start = time.perf_counter()
        try:
            return self.function(*args, **kwargs)
        finally:
            self.seconds += time.perf_counter() - start


def load(args: argparse.Namespace):
    """The predictor, and a stopwatch of its network."""
    if (args.weights or '').endswith('.onnx'):
        predictor = OnnxPredictor(
            args.weights,
            engine=args.engine,
            precision=args.precision,
            device=args.device or 'cpu',
        )
        predictor._run = watch = Stopwatch(predictor._run)
        return predictor, watch
    from mmcovid.apis import OneShotInferencer

    predictor = OneShotInferencer(args.config, args.weights, device=args.device)
    predictor.forward = watch = Stopwatch(predictor.forward)
    return predictor, watch


def main():
    args = parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        scan = draw_scan(folder, args.slices, args.size, args.pictures)
        predictor, watch = load(args)
        settings = Settings(score_thr=args.score_thr, batch_size=args.batch_size)
        start = time.perf_counter()
        (line,) = run_scans(predictor, [scan], folder / 'out', settings, show_progress=False)
        seconds = time.perf_counter() - start
    if line['status'] != 'ok':
        raise SystemExit(f'error: {line["reason"]}')
    figures = dict(
        slices=args.slices,
        size=args.size,
        seconds=seconds,
        seconds_in_network=watch.seconds,
        share_of_network=watch.seconds / seconds,
    )
    print(
        f'{args.slices} slices of {args.size}×{args.size}: {seconds:.1f} s, '
        f'{1e3 * seconds / args.slices:.0f} ms per slice, '
        f'{figures["share_of_network"]:.0%} of it in the network'
    )
    if args.out:
        write_json(figures, args.out)


if __name__ == '__main__':
    main()
