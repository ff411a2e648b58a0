"""What the API reference makes of the docstrings: extensions of Griffe, which mkdocs.yml names.

Sphinx roles, such as :func:`x`, whose target is in the package become links, any
other one, such as a class of MMDetection, code. A module that leaves its docstring
to its class is listed with that of the class.
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
                    lambda role, obj=obj: render(role[1], obj, by_name), obj.docstring.value
                )


class ModuleSummaries(griffe.Extension):
    """Begin a module without a docstring with what its first class, or function, does."""

    def on_package(self, *, pkg: griffe.Module, **kwargs) -> None:
        for module in walk(pkg):
            if not module.is_module or module.is_init_module or module.docstring is not None:
                continue
            documented = [
                member
                for member in module.members.values()
                if not member.is_alias
                and (member.is_class or member.is_function)
                and member.is_public
                and member.docstring
            ]
            if documented:
                first = min(documented, key=lambda member: member.is_function)
                summary = first.docstring.value.partition('\n\n')[0]
                module.docstring = griffe.Docstring(summary, parent=module, parser='google')


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
        target, scope = target[len(package.path) + 1 :], package
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
