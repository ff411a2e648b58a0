"""Notebooks among the pages, and the order of what is searched: hooks of MkDocs.

Each notebook of docs/en becomes a page in the style of the others, as it was run;
nothing is executed. The notebook itself lies beside its page.
"""

import re
from pathlib import PurePosixPath

from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter


def on_files(files: Files, config, **kwargs) -> None:
    """Add a page, and files for its pictures, for each notebook."""
    for notebook in [file for file in files if file.src_uri.endswith('.ipynb')]:
        name = PurePosixPath(notebook.src_uri)
        body, resources = MarkdownExporter().from_filename(
            notebook.abs_src_path,
            resources={'output_files_dir': f'{name.stem}_files', 'unique_key': name.stem},
        )
        files.append(File.generated(config, str(name.with_suffix('.md')), content=body))
        for path, content in resources['outputs'].items():
            files.append(File.generated(config, str(name.parent / path), content=content))


def on_page_markdown(markdown: str, page, **kwargs) -> str:
    """Links of the other pages lead to the page of a notebook, not to its file."""
    if page.file.src_uri.startswith('reference/'):
        page.meta['search'] = dict(boost=0.5)  # found behind the pages that were written
    if page.file.generated_by:
        return markdown
    return re.sub(r'\.ipynb(?=[)#])', '.md', markdown)
