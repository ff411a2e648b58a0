"""Make MMEngine know what only mmcovid has, without importing MMEngine for it.

Two things have to be known before a config or a checkpoint is read, wherever that happens:
``_base_ = 'mmcovid::...'`` in configs, and checkpoints that end in ``.safetensors``. If MMEngine is
loaded already they are registered at once, and otherwise as soon as it is.
"""

import sys
from collections.abc import Callable, Sequence
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


class _Finder(MetaPathFinder):
    """Finds the modules of MMEngine as Python does, to register once they are there."""

    def __init__(self) -> None:
        self._searching: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _REGISTERED_BY or fullname in self._searching:
            return None
        self._searching.add(fullname)
        try:
            spec = find_spec(fullname)
        finally:
            self._searching.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, lambda: _register(fullname))
        return spec


class _Loader(Loader):
    """Loads a module as its own loader does, and then does something."""

    def __init__(self, loader: Loader, then: Callable[[], None]) -> None:
        self._loader, self._then = loader, then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._then()
