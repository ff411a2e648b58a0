"""Style rules of pages that are not made of templates."""
from importlib.resources import files

CSS = files('mmcovid.reporting').joinpath('templates/style.css').read_text(encoding='utf-8')
