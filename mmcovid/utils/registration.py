"""What has to happen when modules of the stack are loaded, without importing them for it.

Two things have to be known before a config or a checkpoint is read, wherever that happens:
``_base_ = 'mmcovid::...'`` in configs, and checkpoints that end in ``.safetensors``. If MMEngine is
loaded already they are registered at once, and otherwise as soon as it is. And what MMDetection
says, while it is loaded, of optional packages that mmcovid does not use is left out.
"""

import io
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

#: Module of MMEngine, and the function that registers with it.
_REGISTERED_BY = {
    'mmengine.config.config': ('mmcovid.utils.configs', 'register_config_prefix'),
    'mmengine.runner.checkpoint': ('mmcovid.checkpoints.safetensors', 'register_safetensors'),
}


#: Modules of MMDetection that tell each user, at each start, which optional packages are absent.
_WITH_NOTES = ('mmdet.datasets', 'mmdet.evaluation')
_NOTE_PRINTED = 'Could not import OneDL'
_NOTE_WARNED = 'faster_coco_eval is not installed'


def register_with_mmengine() -> None:
    """Register now what MMEngine has loaded already, and the rest when it is loaded."""
    for name in _REGISTERED_BY:
        if name in sys.modules:
            _register(name)
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _register(name: str) -> None:
    module, function = _REGISTERED_BY[name]
    getattr(import_module(module), function)()


@contextmanager
def _registering(name: str) -> Iterator[None]:
    yield
    _register(name)


@contextmanager
def _without_notes() -> Iterator[None]:
    said = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(said):
            warnings.filterwarnings('ignore', message=_NOTE_WARNED)
            yield
    finally:
        for line in said.getvalue().splitlines():
            if not line.startswith(_NOTE_PRINTED):
                print(line)


#: What to do around the loading of a module.
_AROUND: dict[str, Callable[[], AbstractContextManager]] = {
    **{name: partial(_registering, name) for name in _REGISTERED_BY},
    **dict.fromkeys(_WITH_NOTES, _without_notes),
}


class _Finder(MetaPathFinder):
    """Finds modules of the stack as Python does, to do something around their loading."""

    def __init__(self) -> None:
        self._searching: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _AROUND or fullname in self._searching:
            return None
        self._searching.add(fullname)
        try:
            spec = find_spec(fullname)
        finally:
            self._searching.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, _AROUND[fullname])
        return spec


class _Loader(Loader):
    """Loads a module as its own loader does, and does something around that."""

    def __init__(self, loader: Loader, around: Callable[[], AbstractContextManager]) -> None:
        self._loader, self._around = loader, around

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        with self._around():
            self._loader.exec_module(module)
