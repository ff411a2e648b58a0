"""A small DICOMweb archive on loopback, which can be made to answer wrongly."""

import email
import email.policy
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

from pydicom import dcmread

BOUNDARY = 'part'


class FakeArchive(ThreadingHTTPServer):
    """Holds the files of a folder, and what is stored.

    Attributes:
        wrong (Callable): Called with handler, kind of the request (``series``, ``metadata``,
            ``instance``, ``search`` or ``store``) and its number; answers itself and returns true
            where the answer is to be wrong.
    """

    def __init__(self, files):
        super().__init__(('127.0.0.1', 0), _Handler)
        self.files = {dcmread(path).SOPInstanceUID: path.read_bytes() for path in files}
        self.requests = []  # kind, path and headers
        self.wrong = lambda handler, kind, number: False

    def handle_error(self, request, client_address):
        """Clients that give up are no news."""

    @property
    def base(self):
        """Address of its studies."""
        return f'dicomweb+http://127.0.0.1:{self.server_address[1]}/dicom-web/studies'

    def headers(self):
        return [
            dcmread(BytesIO(content), stop_before_pixels=True) for content in self.files.values()
        ]


@contextmanager
def serve(files):
    """A running archive."""
    with FakeArchive(files) as archive:
        thread = threading.Thread(target=archive.serve_forever, kwargs=dict(poll_interval=0.01))
        thread.start()
        try:
            yield archive
        finally:
            archive.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        """Nothing is printed."""

    def do_GET(self):
        url = urlsplit(self.path)
        parts, query = url.path.split('/')[2:], parse_qs(url.query)
        if len(parts) == 3:
            self._answer('series', self._series, parts[1], query)
        elif parts[-1] == 'metadata':
            self._answer('metadata', self._metadata, parts[3])
        elif parts[-1] == 'instances':
            self._answer('search', self._search, query['SOPInstanceUID'][0])
        else:
            self._answer('instance', self._instance, parts[5])

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        self._answer('store', self._store, body)

    def _answer(self, kind, method, *args):
        log = self.server.requests
        number = sum(done == kind for done, *_ in log)
        log.append((kind, self.path, dict(self.headers)))
        if not self.server.wrong(self, kind, number):
            method(*args)

    def send(self, body, kind='application/dicom+json', status=200, length=None):
        """Answer; ``length`` is what is said of it."""
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, *datasets):
        self.send(json.dumps([each.to_json_dict() for each in datasets]).encode())

    def send_instance(self, content, end=b'--', length=None):
        """Answer with a file, as the only part of several."""
        mark = f'--{BOUNDARY}'.encode()
        head = mark + b'\r\nContent-Type: application/dicom\r\n\r\n'
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        self.send(head + content + b'\r\n' + mark + end, kind, length=length)

    def _series(self, study, query):
        first = {each.SeriesInstanceUID: each for each in self.server.headers()}
        known = [each for each in first.values() if each.StudyInstanceUID == study]
        asked = query.get('Modality', [''])[0]
        known = [each for each in known if asked in ('', each.Modality)]
        self.send_json(*known[int(query.get('offset', [0])[0]) :])

    def _metadata(self, series):
        known = [each for each in self.server.headers() if each.SeriesInstanceUID == series]
        if known:
            self.send_json(*known)
        else:
            self.send(b'', status=404)

    def _search(self, uid):
        self.send_json(*(each for each in self.server.headers() if each.SOPInstanceUID == uid))

    def _instance(self, uid):
        self.send_instance(self.server.files[uid])

    def _store(self, body):
        head = f'Content-Type: {self.headers["Content-Type"]}\r\n\r\n'.encode()
        boundary = email.message_from_bytes(head, policy=email.policy.HTTP).get_boundary().encode()
        part = body.split(b'--' + boundary)[1].partition(b'\r\n\r\n')[2].removesuffix(b'\r\n')
        self.server.files[dcmread(BytesIO(part)).SOPInstanceUID] = part
        self.send(b'{}')
