"""Addresses of studies and series in DICOMweb archives.

They are those of DICOMweb itself, with the scheme ``dicomweb`` in place of https, so that an input
is told from a file: ``dicomweb://HOST[:PORT][/PREFIX]/studies/UID[/series/UID]``. ``dicomweb+http``
stands for plain http.
"""

import os
import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

#: Variable with the hosts, separated by commas, that may be talked to without encryption.
PLAIN_HOSTS = 'MMCOVID_PLAIN_HTTP_HOSTS'
_SCHEMES = {'dicomweb': 'https', 'dicomweb+http': 'http'}
_UID = r'\d+(?:\.\d+)+'
_ADDRESS = re.compile(
    rf'(?P<scheme>dicomweb(?:\+http)?)://(?P<host>[\w.:\[\]-]+)(?P<prefix>(?:/[\w.~-]+)*?)'
    rf'/studies/(?P<study>{_UID})(?:/series/(?P<series>{_UID}))?/?'
)


class Address(NamedTuple):
    """A study or series of an archive."""

    scheme: str
    host: str  #: with the port, if it is not the usual one
    prefix: str
    study: str
    series: str | None = None

    @classmethod
    def parse(cls, text: str) -> 'Address':
        """Take an address apart.

        Raises:
            ValueError: It is none, or of a host that must not be talked to without encryption.
        """
        match = _ADDRESS.fullmatch(text)
        if not match:
            raise ValueError(
                f'{text}: is no address of a study or series. Give '
                'dicomweb://HOST/PREFIX/studies/UID or …/studies/UID/series/UID.'
            )
        address = cls(**match.groupdict())
        if address.scheme == 'dicomweb+http' and not _may_be_plain(address.host):
            raise ValueError(
                f'{text}: patients would be sent without encryption. Take dicomweb:// or, in a '
                f'network that you trust, name the host in {PLAIN_HOSTS}.'
            )
        return address

    def __str__(self) -> str:
        series = f'/series/{self.series}' if self.series else ''
        return f'{self.scheme}://{self.host}{self.prefix}/studies/{self.study}{series}'

    @property
    def service(self) -> str:
        """URL of the archive."""
        return f'{_SCHEMES[self.scheme]}://{self.host}{self.prefix}'


def is_address(text: str) -> bool:
    """Whether an input is one of an archive, or meant to be."""
    return text.lower().startswith(tuple(f'{scheme}://' for scheme in _SCHEMES))


def check_no_secrets(inputs: Iterable[str]) -> None:
    """Refuse addresses, whatever their scheme, that have in them what no table may tell.

    Raises:
        ValueError: One has a user, a password or a query. The message does not repeat it.
    """
    if any(re.match(r'[\w+.-]+://([^/]*@|.*\?)', text) for text in inputs):
        raise ValueError(
            'an address of an archive has a user, a password or a query in it: addresses are '
            'written into tables. Put user and password into ~/.netrc'
        )


def _may_be_plain(host: str) -> bool:
    """Whether a host is this machine, or one that the user trusts."""
    name = urlsplit(f'//{host}').hostname or ''
    if name == 'localhost' or name in os.environ.get(PLAIN_HOSTS, '').split(','):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:  # a name
        return False
