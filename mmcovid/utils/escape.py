"""Text from elsewhere - names of files and classes, tags, messages - made harmless for its reader.

Pages need none of this: their templates escape all text.
"""

import hashlib
import re

#: What no system can have in a name, or takes for more than a name.
_NO_NAME = re.compile(r'[/\\:*?"<>|]')
_RESERVED = re.compile(r'(con|prn|aux|nul|com\d|lpt\d)(\..*)?', re.IGNORECASE)
#: Bytes of a name: systems take 255, and temporary files add to it.
_LONGEST = 200
#: What a spreadsheet takes for the beginning of a formula, as OWASP lists it.
_FORMULA = re.compile(r'[=+\-@\t\r\n].', re.DOTALL)
_NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?', re.IGNORECASE)


def printable(text: object, keep: str = '\n') -> str:
    """Text for a terminal or a log: what controls these, or hides text, is spelt out.

    Args:
        text (object): What to print.
        keep (str): Characters that stay. Defaults to a newline, of messages of several lines.
    """
    return ''.join(
        char if char.isprintable() or char in keep else char.encode('unicode_escape').decode()
        for char in str(text)
    )


def file_name(text: str) -> str:
    """A name for a file or folder that every system takes as one; most names are left as they are.

    What is not printable or separates folders becomes ``_``. A long name is cut, and ends in eight
    digits of its hash.
    """
    name = ''.join(char if char.isprintable() else '_' for char in _NO_NAME.sub('_', text))
    name = name.rstrip('. ')
    if not name or name.startswith('.') or _RESERVED.fullmatch(name):
        name = f'_{name}'
    if len(name.encode()) > _LONGEST:
        digits = hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:8]
        name = f'{name.encode()[:_LONGEST].decode(errors="ignore")}-{digits}'
    return name


def cell(value: object) -> object:
    """A value for a CSV file: a text that a spreadsheet would take for a formula gets a ``'``."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def dicom_text(text: str, length: int = 64) -> str:
    """Text for a DICOM tag of one value (LO): no backslash, which separates values, no controls."""
    return printable(text, keep='').replace('\\', '_')[:length].strip()


def markdown(text: object) -> str:
    """Text for a line of Markdown, in which HTML counts."""
    line = ' '.join(printable(text).split('\n'))
    return line.replace('&', '&amp;').replace('<', '&lt;')
