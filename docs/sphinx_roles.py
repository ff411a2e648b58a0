"""Links in the API reference: the Sphinx roles of the docstrings, such as :func:`x`, for Griffe.

mkdocs.yml names this extension. A role whose target is in the package becomes a
link, any other one, such as a class of MMDetection, code.
"""
import re
from collections import defaultdict
from collections.abc import Iterator

import griffe

ROLE = re.compile(r':(?:attr|class|data|exc|func|meth|mod|obj):`([^`]+)`')


class SphinxRoles(griffe.Extension):
    """Replace the roles once the whole package is read, so that all targets are known."""

    def on_package(self, *, pkg: griffe.Module, **kwargs) -> None:
        objects = list(walk(pkg))
        by_name = defaultdict(list)
        for obj in objects:
            by_name[obj.name].append(obj.path)

        for obj in objects:
            if obj.docstring is not None:
                obj.docstring.value = ROLE.sub(
                    lambda role, obj=obj: render(role[1], obj, by_name), obj.docstring.value)


def walk(obj: griffe.Object) -> Iterator[griffe.Object]:
    """The object and all that it defines, without what it imports."""
    yield obj
    for member in obj.members.values():
        if not member.is_alias:
            yield from walk(member)


def render(role: str, obj: griffe.Object, by_name: dict[str, list[str]]) -> str:
    """A role of the docstring of ``obj`` as Markdown; ``~`` leaves the last name only."""
    target = role.lstrip('~.')
    title = target.rpartition('.')[2] if role.startswith('~') else target
    path = find(target, obj)
    if path is None and not target.startswith(f'{obj.package.path}.'):
        # beside it no longer, but still the only one of that name
        namesakes = by_name[target]
        path = namesakes[0] if len(namesakes) == 1 else None
    if path is None:
        return f'`{title}`'
    # optional: what has no docstring has no place in the reference to lead to
    return f'<autoref optional identifier="{path}"><code>{title}</code></autoref>'


def find(target: str, obj: griffe.Object) -> str | None:
    """Path of a target in the package: absolute, or as seen from ``obj`` and all around it."""
    package = obj.package
    if target.startswith(f'{package.path}.'):
        target, scope = target[len(package.path) + 1:], package
    else:
        scope = obj
    while scope is not None:
        try:
            found = scope
            for name in target.split('.'):
                found = found.all_members[name]
            path = found.final_target.path if found.is_alias else found.path
        except (KeyError, griffe.AliasResolutionError, griffe.CyclicAliasError):
            scope = scope.parent
        else:
            return path if path.startswith(f'{package.path}.') else None
    return None
