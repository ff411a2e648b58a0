"""A headless Chromium that tests drive, through pipes and without a library."""

import base64
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = shutil.which('chromium') or shutil.which('google-chrome')
needs_browser = pytest.mark.skipif(not BROWSER, reason='no Chromium to open the page in')
LOADED = 'document.documentElement?.dataset.loaded'
_SECONDS = 60


class Browser:
    """A page in Chromium, by its DevTools protocol: messages in JSON, each ended by a zero byte.

    Args:
        folder (Path): For its profile.
        width (int): Of the window, in pixels.
        height (int): Of the window, in pixels.
        touch (bool): Whether it has a touch screen.
    """

    def __init__(self, folder: Path, width: int, height: int = 1000, touch: bool = False) -> None:
        (theirs, self._out), (self._in, answers) = os.pipe(), os.pipe()
        command = [
            BROWSER,
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            '--no-first-run',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
            f'--user-data-dir={folder / "profile"}',
            '--remote-debugging-pipe',
        ]
        # Chromium reads from 3 and writes to 4, whatever numbers the pipes have here
        self._process = subprocess.Popen(
            ['bash', '-c', f'exec "$@" 3<&{theirs} 4>&{answers}', 'bash', *command],
            pass_fds=(theirs, answers),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(answers)
        self._numbers, self._unread, self.events = itertools.count(1), b'', []
        self._session = None
        target = self.send('Target.createTarget', url='about:blank')['targetId']
        attached = self.send('Target.attachToTarget', targetId=target, flatten=True)
        self._session = attached['sessionId']
        for domain in ('Page', 'Network', 'Log', 'Runtime'):
            self.send(f'{domain}.enable')
        self.send(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=touch,
        )
        self.send('Emulation.setTouchEmulationEnabled', enabled=touch)

    def __enter__(self) -> 'Browser':
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def send(self, method: str, **params) -> dict:
        """Call a method of the protocol; events that come before its answer are kept."""
        number = next(self._numbers)
        message = dict(id=number, method=method, params=params)
        if self._session:
            message['sessionId'] = self._session
        os.write(self._out, json.dumps(message).encode() + b'\0')
        while (answer := self._read()).get('id') != number:
            self.events.append(answer)
        assert 'error' not in answer, answer
        return answer['result']

    def _read(self) -> dict:
        while b'\0' not in self._unread:
            part = os.read(self._in, 2**20)
            assert part, 'Chromium is gone'
            self._unread += part
        message, self._unread = self._unread.split(b'\0', 1)
        return json.loads(message)

    def open(self, page: Path, fragment: str = '', until: str = LOADED) -> None:
        """Open a page.

        Args:
            page (Path): Its file.
            fragment (str): What follows in the address. Defaults to ''.
            until (str): Expression to wait for. Defaults to that of pages whose script says that it
                is done.
        """
        self.send('Page.navigate', url=page.resolve().as_uri() + fragment)
        self.run(
            'new Promise((done, failed) => {'
            f'setInterval(() => {until} && done(), 20);'
            f'setTimeout(() => failed(document.body.innerText), {_SECONDS * 1000});'
            '})'
        )

    def run(self, script: str):
        """Value of an expression; a promise is waited for."""
        answer = self.send(
            'Runtime.evaluate', expression=script, awaitPromise=True, returnByValue=True
        )
        assert 'exceptionDetails' not in answer, answer
        return answer['result'].get('value')

    def press(self, *keys: str) -> None:
        """Press and release keys, such as ``Home`` or ``m``."""
        for key in keys:
            text = dict(text=key) if len(key) == 1 else {}
            self.send('Input.dispatchKeyEvent', type='keyDown', key=key, **text)
            self.send('Input.dispatchKeyEvent', type='keyUp', key=key)

    def place(self, selector: str, x: float = 0.5, y: float = 0.5) -> tuple[float, float]:
        """A point of an element, scrolled into view, as coordinates of the window.

        Args:
            selector (str): Of the element.
            x (float): Part of its width. Defaults to 0.5.
            y (float): Part of its height. Defaults to 0.5.
        """
        script = (
            '(() => { const element = document.querySelector(%s);'
            "element.scrollIntoView({block: 'center'});"
            'const box = element.getBoundingClientRect();'
            'return [box.left + box.width * %r, box.top + box.height * %r]; })()'
        )
        return tuple(self.run(script % (json.dumps(selector), x, y)))

    def click(self, selector: str, x: float = 0.5, y: float = 0.5) -> None:
        """Click into an element; arguments as of :meth:`place`."""
        x, y = self.place(selector, x, y)
        for kind in ('mousePressed', 'mouseReleased'):
            self.send('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

    def turn(self, selector: str, delta: float) -> None:
        """Turn the wheel over an element."""
        x, y = self.place(selector)
        self.send('Input.dispatchMouseEvent', type='mouseWheel', x=x, y=y, deltaX=0, deltaY=delta)

    def swipe(self, selector: str, begin: float, end: float) -> None:
        """Move a finger over an element, between parts of its width."""
        places = [self.place(selector, x) for x in (begin, (begin + end) / 2, end)]
        self.touch('touchStart', places[0])
        for place in places[1:]:
            self.touch('touchMove', place)
        self.send('Input.dispatchTouchEvent', type='touchEnd', touchPoints=[])

    def touch(self, kind: str, place: tuple[float, float]) -> None:
        """An event of one finger."""
        points = [dict(x=place[0], y=place[1])]
        self.send('Input.dispatchTouchEvent', type=kind, touchPoints=points)

    def photograph(self) -> bytes:
        """The window, as PNG."""
        return base64.b64decode(self.send('Page.captureScreenshot')['data'])
