"""Draw the pictures of the home page from what make demo left: python docs/draw_pictures.py

Writes docs/en/figures/{slice,roc,profile}.png.
"""
from pathlib import Path

from PIL import Image

from mmcovid.apis import OneShotInferencer

REPO = Path(__file__).parents[1]
DEMO, DATA = REPO / 'work_dirs/demo', REPO / 'data/phantom'
OUT = Path(__file__).parent / 'en/figures'


def covid_slice() -> str:
    """The first COVID-19 slice of the test list."""
    lines = (DATA / 'covidx_ct/test_phantom.txt').read_text(encoding='utf-8').splitlines()
    name = next(line.split()[0] for line in lines if line.split()[1] == '2')
    return str(DATA / 'covidx_ct/2A_images' / name)


def save(image: Image.Image, name: str, width: int) -> None:
    """As a PNG with a palette, which is a third of the size."""
    image = image.convert('RGB')
    image.thumbnail((width, width))
    image.quantize(256, dither=Image.Dither.NONE).save(OUT / name, optimize=True)


def main() -> None:
    checkpoint = (DEMO / 'last_checkpoint').read_text(encoding='utf-8').strip()
    inferencer = OneShotInferencer(weights=checkpoint, device='cpu')
    inferencer.visualizer.draw_attention = True
    result = inferencer(covid_slice(), return_vis=True, no_save_vis=True)
    save(Image.fromarray(result['visualization'][0]), 'slice.png', 1400)
    save(Image.open(DEMO / 'report/figures/roc.png'), 'roc.png', 1200)
    scan = next((DEMO / 'scans').glob('NCP_*'))
    save(Image.open(scan / 'profile.png'), 'profile.png', 1200)


if __name__ == '__main__':
    main()
