"""DICOMweb archives: series are retrieved, and what was made of them is stored.

User and password are those of the host in ``~/.netrc``, or the file that ``NETRC`` names; a token
is in ``MMCOVID_DICOMWEB_TOKEN``. Neither is ever part of a message.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.client import responses
from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.filereader import read_file_meta_info

from mmcovid.ct import list_series
from mmcovid.utils.budget import BudgetError, check_scan_bytes, check_size, check_slice_bytes

from .addresses import Address

try:
    import requests
    from dicomweb_client import DICOMwebClient
    from dicomweb_client.uri import URI
    from requests.adapters import HTTPAdapter
    from requests.exceptions import ChunkedEncodingError
    from requests_toolbelt.multipart.decoder import MultipartDecoder
    from urllib3.util import Retry
except ImportError as error:
    raise ImportError(
        'dicomweb-client is not installed; to mend it, run: pip install dicomweb-client '
        'requests-toolbelt'
    ) from error

TOKEN = 'MMCOVID_DICOMWEB_TOKEN'
#: Seconds to connect, and between two pieces of an answer; and for all of an answer.
TIMEOUT, LONGEST = (10, 60), 600
RETRIES = 3
#: Seconds before the second of them; the time doubles.
BACKOFF = 1.0
#: As they are stored, so that nothing is compressed or converted on the way.
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_MOST_SERIES = 1000


class Archive:
    """A study or series of an archive.

    Args:
        address (Address): Of the study or series.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._session = requests.Session()
        self._session.max_redirects = 0  # patients and passwords go to no other host
        for scheme in ('https://', 'http://'):
            self._session.mount(scheme, _Adapter(str(address)))
        if token := os.environ.get(TOKEN):
            self._session.auth = _Token(token)
        self._client = DICOMwebClient(
            address.service,
            self._session,
            headers={'Accept': 'application/dicom+json'},
            timeout=TIMEOUT,
            chunk_size=2**31,  # a body in pieces could not be sent again
        )
        self._client.set_http_retry_params(retry=False)  # the adapter tries again

    def find_series(self) -> list[Address]:
        """The CT series that the address means.

        Raises:
            OSError: The archive does not answer as it should.
            ValueError: There is none.
        """
        if self.address.series:
            return [self.address]
        found: set[str] = set()
        with self._told('its series were not listed'):
            while new := set(self._search(offset=len(found))) - found:  # archives give pages
                found |= new
                if len(found) > _MOST_SERIES:
                    raise _WrongAnswer(f'it names more than {_MOST_SERIES} series')
        if not found:
            raise ValueError(f'{self.address}: has no CT series. Correct the study.')
        return [self.address._replace(series=uid) for uid in sorted(found)]

    def _search(self, offset: int) -> list[str]:
        """UIDs of some of the CT series."""
        answer = self._client.search_for_series(
            self.address.study, offset=offset, search_filters=dict(Modality='CT')
        )
        return [
            str(_value(item, 'SeriesInstanceUID'))
            for item in answer
            if _value(item, 'Modality') == 'CT'
        ]

    def retrieve(self, folder: Path) -> None:
        """Retrieve the slices of the series, all or none.

        Args:
            folder (Path): Where to write them, a file for each.

        Raises:
            OSError: The archive does not answer as it should, or not for all slices.
            BudgetError: They are too large.
            ValueError: What was retrieved is not what was asked for.
        """
        study, series, size = self.address.study, str(self.address.series), 0
        with self._told(f'the slices of study {study} were not listed'):
            listed = self._client.retrieve_series_metadata(study, series)
            uids = [str(_value(item, 'SOPInstanceUID')) for item in listed]
            if not uids or len(set(uids)) < len(uids):
                raise _WrongAnswer('it names no slice, or one twice')
            rows, columns, bits = (
                max(int(_value(item, keyword)) for item in listed)
                for keyword in ('Rows', 'Columns', 'BitsAllocated')
            )
        check_size(str(self.address), rows, columns, len(uids), bits // 8)
        for number, uid in enumerate(uids):
            with self._told(f'{number} of {len(uids)} slices of study {study} were retrieved'):
                content = self._retrieve(uid)
                path = folder / f'{number + 1:05d}.dcm'
                path.write_bytes(content)
                if read_file_meta_info(path).MediaStorageSOPInstanceUID != uid:
                    raise _WrongAnswer('it gives another slice than was asked for')
            size += len(content)
            check_scan_bytes(str(self.address), size)
        if [each.uid for each in list_series(folder)] != [series]:
            raise ValueError(
                f'{self.address}: slices of another series were retrieved. Ask its operator.'
            )

    def _retrieve(self, uid: str) -> bytes:
        """The file of a slice as it is stored."""
        url = URI(self.address.service, self.address.study, self.address.series, uid)
        answer = self._session.get(str(url), headers=dict(Accept=_ACCEPT), timeout=TIMEOUT)
        answer.raise_for_status()
        if answer.headers.get('Content-Type', '').startswith('application/dicom'):
            return answer.content  # some archives send a single file so
        decoder = MultipartDecoder.from_response(answer)
        if not answer.content.rstrip().endswith(b'--' + decoder.boundary + b'--'):
            raise _WrongAnswer('its answer is truncated')
        (part,) = decoder.parts
        return part.content

    def store(self, files: Sequence[Path]) -> None:
        """Store files that the archive does not have yet, each whole or not at all.

        Raises:
            OSError: The archive does not answer as it should, or refuses a file.
        """
        for number, path in enumerate(files):
            with self._told(f'{number} of {len(files)} DICOM files are stored'):
                dataset = pydicom.dcmread(path)
                if self._has(dataset):
                    continue
                answer = self._client.store_instances([dataset], self.address.study)
                if answer.get('FailedSOPSequence'):
                    raise _WrongAnswer('it refuses a file')

    def _has(self, dataset: pydicom.Dataset) -> bool:
        """Whether the archive has an object already."""
        answer = self._client.search_for_instances(
            dataset.StudyInstanceUID,
            dataset.SeriesInstanceUID,
            search_filters=dict(SOPInstanceUID=dataset.SOPInstanceUID),
        )
        return any(_value(item, 'SOPInstanceUID') == dataset.SOPInstanceUID for item in answer)

    @contextmanager
    def _told(self, state: str) -> Iterator[None]:
        """Tell what was reached when an archive fails, why, and the remedy.

        Messages of libraries are left out: they may hold what the archive has sent.
        """
        try:
            yield
        except BudgetError:
            raise
        except Exception as error:  # whatever a wrong answer leads to
            raise ConnectionError(f'{self.address}: {state}: {_explain(error)}') from error


class _WrongAnswer(Exception):
    """An archive answers, but not with what was asked for."""


def _explain(error: Exception) -> str:
    """Why an archive failed, and what to do."""
    if isinstance(error, _WrongAnswer):
        return f'{error}. Ask its operator.'
    if isinstance(error, requests.exceptions.SSLError):
        if 'CERTIFICATE_VERIFY_FAILED' not in str(error):
            return 'it does not speak TLS. Correct the address.'
        return (
            'its certificate is not trusted. Name the file with the certificates of your hospital '
            'in REQUESTS_CA_BUNDLE.'
        )
    if isinstance(error, requests.TooManyRedirects):
        return 'it sends to another address, which is not followed. Give that one.'
    if isinstance(error, requests.HTTPError):
        status = 0 if error.response is None else error.response.status_code
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            remedy = f'Put user and password into ~/.netrc, or a token into {TOKEN}'
        elif status == HTTPStatus.NOT_FOUND:
            remedy = 'Correct the address'
        else:
            remedy = 'Ask its operator'
        return f'it answers {status} {responses.get(status, "")}'.strip() + f'. {remedy}.'
    if isinstance(error, (requests.ConnectionError, requests.Timeout, ChunkedEncodingError)):
        return 'it does not answer, or breaks off. Correct the address, or try again later.'
    return f'its answer is none of DICOMweb ({type(error).__name__}). Ask its operator.'


class _Token(requests.auth.AuthBase):
    """Bearer token, in place of user and password."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers['Authorization'] = f'Bearer {self._token}'
        return request


class _Adapter(HTTPAdapter):
    """Tries again a few times, and takes no answer that is too long or lasts too long."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__(
            max_retries=Retry(
                RETRIES,
                status_forcelist=(429, 502, 503, 504),
                allowed_methods=None,  # storing twice is storing once
                backoff_factor=BACKOFF,
                respect_retry_after_header=False,  # which may ask for days
                raise_on_status=False,
            )
        )

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().send(*args, **kwargs)
        response.raw.stream = self._bound(response.raw.stream)
        return response

    def _bound(self, stream: Any) -> Any:
        """``stream`` of an answer, up to the budget."""

        def bounded(*args: Any, **kwargs: Any) -> Iterator[bytes]:
            size, end = 0, time.monotonic() + LONGEST
            for block in stream(*args, **kwargs):
                size += len(block)
                check_slice_bytes(self._address, size, 'an answer')
                if time.monotonic() > end:
                    raise requests.Timeout
                yield block

        return bounded


def _value(item: Any, keyword: str) -> Any:
    """Value of a tag in DICOM's JSON."""
    return item[f'{tag_for_keyword(keyword):08X}']['Value'][0]
