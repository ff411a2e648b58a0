"""Make the pictures of the home page from what make demo left: python docs/draw_pictures.py

Writes docs/en/figures/{slice,report,scan,viewer}.jpg. The pages are photographed by the
browser that BROWSER names, chromium by default.
"""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from mmcovid.apis import OneShotInferencer

REPO = Path(__file__).parents[1]
DEMO, DATA = REPO / 'work_dirs/demo', REPO / 'data/phantom'
OUT = Path(__file__).parent / 'en/figures'
BROWSER = shlex.split(os.environ.get('BROWSER', 'chromium'))


def draw_slice() -> Image.Image:
    """The first COVID-19 slice of the test list, with its RoIs."""
    lines = (DATA / 'covidx_ct/test_phantom.txt').read_text(encoding='utf-8').splitlines()
    name = next(line.split()[0] for line in lines if line.split()[1] == '2')
    checkpoint = (DEMO / 'last_checkpoint').read_text(encoding='utf-8').strip()
    inferencer = OneShotInferencer(weights=checkpoint, device='cpu')
    inferencer.visualizer.draw_attention = True
    result = inferencer(str(DATA / 'covidx_ct/2A_images' / name), return_vis=True, no_save_vis=True)
    return Image.fromarray(result['visualization'][0])


def photograph(page: Path, height: int) -> Image.Image:
    """The upper part of a page, after its script has run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'page.png')
        subprocess.run(
            [
                *BROWSER,
                '--headless',
                '--hide-scrollbars',
                f'--user-data-dir={folder}/profile',
                f'--window-size=1000,{height}',
                '--virtual-time-budget=20000',
                f'--screenshot={path}',
                page.resolve().as_uri(),
            ],
            check=True,
        )
        return Image.open(path).convert('RGB')


def main() -> None:
    scan = next((DEMO / 'scans').glob('NCP_*'))
    pictures = dict(
        slice=draw_slice(),
        report=photograph(DEMO / 'report/report.html', 850),
        scan=photograph(scan / 'report.html', 1140),
        viewer=photograph(scan / 'viewer.html', 1080),
    )
    for name, image in pictures.items():
        image.thumbnail((1400, 1400))
        image.save(OUT / f'{name}.jpg', quality=85, optimize=True)


if __name__ == '__main__':
    main()
