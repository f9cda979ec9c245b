"""The floors of the house: who may import whom, no import circles, no star imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / 'mmdet').rglob('*.py'))
ALLOWED = {
    'ops': {'ops', 'utils'},
    'utils': {'ops', 'utils'},
    'core': {'core', 'ops', 'utils'},
    'models': {'models', 'core', 'ops', 'utils'},
    'datasets': {'datasets', 'core', 'ops', 'utils'},
    'apis': {'apis', 'models', 'datasets', 'core', 'ops', 'utils'},
}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {module_name(path): path for path in FILES}


def imported(path):
    """Absolute names of the package's modules that a file imports, inside its functions as well."""
    tree = ast.parse(path.read_text())
    package = module_name(path).split('.')
    package = package if path.name == '__init__.py' else package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = '.'.join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                deeper = f'{target}.{alias.name}'
                yield deeper if deeper in MODULES else target


def floor(name):
    parts = name.split('.')
    return parts[1] if parts[0] == 'mmdet' and len(parts) > 1 else None


@pytest.mark.parametrize('path', FILES, ids=module_name)
def test_file_imports_only_from_floors_below(path):
    own = floor(module_name(path))
    if own not in ALLOWED:
        return  # the package's own front: version, environment
    reached = {floor(name) for name in imported(path)} - {None, 'version', '_environment'}
    assert reached <= ALLOWED[own]


@pytest.mark.parametrize('path', FILES, ids=module_name)
def test_file_has_no_star_import(path):
    stars = [
        n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.names[0].name == '*'
    ]
    assert stars == []


def test_no_file_takes_part_in_an_import_circle():
    # a package's front imports its parts, so an edge to it counts only where a file names it
    graph = {name: {m for m in imported(path) if m in MODULES and m != name} for name, path in MODULES.items()}
    done, path_now = set(), []

    def visit(name):
        if name in path_now:
            raise AssertionError('import circle: ' + ' -> '.join([*path_now[path_now.index(name) :], name]))
        if name in done:
            return
        path_now.append(name)
        for other in sorted(graph[name]):
            visit(other)
        path_now.pop()
        done.add(name)

    for name in sorted(graph):
        visit(name)


def test_only_the_directives_package_spells_the_keys():
    ends = 'ignore_negatives', '.loss_weight', '.negative_weight', '.negatives', 'labeled_classes'

    def spells(node):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ''
        return text.endswith(ends) and ' ' not in text

    found = {name for name, path in MODULES.items() if any(map(spells, ast.walk(ast.parse(path.read_text()))))}
    assert found == {'mmdet.core.directives.keys', 'mmdet.core.directives'}  # keys, and functions named after them
