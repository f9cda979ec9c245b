"""What a config file says of the files that it is based on: which they are, and where it asks for their values.

mmcv puts a value of a base in the place of ``{{ _base_.key }}`` after the file has been run. Until then a text stands
there, so it can be a whole value only; within an expression the text itself would be added, indexed or counted.
"""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from mmdet.utils.registry import did_you_mean

BASE_KEY = '_base_'
REFERENCE = re.compile(r'\{\{\s*_base_\.([\w.]+)\s*\}\}')
FILE_WORD = re.compile(r'\{\{\s*(file\w*)\s*\}\}')
FILE_WORDS = ('fileDirname', 'fileBasename', 'fileBasenameNoExtension', 'fileExtname')
PLACES = 'it can be the whole value of a name, of a keyword argument, or an entry of a list, tuple or dict'


class Reference(NamedTuple):
    """A place of a file that asks for a value of a base."""

    key: str  # with dots
    line: int


def references(text: str) -> list[Reference]:
    """All that a file asks for."""
    return [Reference(found[1], text.count('\n', 0, found.start()) + 1) for found in REFERENCE.finditer(text)]


def base_files(tree: ast.Module) -> object:
    """The value of ``_base_`` in a Python file; None where there is none, or where it is worked out."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == BASE_KEY for target in statement.targets
        ):
            try:
                return ast.literal_eval(statement.value)
            except ValueError:
                return None
    return None


def reference_problem(tree: ast.Module, text: str) -> str | None:
    """What is wrong with how a Python file uses values of its bases; None: nothing."""
    word = next((found[1] for found in FILE_WORD.finditer(text) if found[1] not in FILE_WORDS), None)
    if word:
        return f'{{{{ {word} }}}} stands for nothing{did_you_mean(word, FILE_WORDS)}'
    found = references(text)
    if found and not any(BASE_KEY in names_of(statement) for statement in tree.body):
        return f'line {found[0].line}: {{{{ _base_.{found[0].key} }}}} is asked for, and the file has no _base_'
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node, key in _uses(tree):
        if not _is_whole_value(node, parents):
            return (
                f'line {getattr(node, "lineno", 0)}: {{{{ _base_.{key} }}}} is put in after the file has been run: '
                f'{PLACES}, not a part of an expression or of a text'
            )
    return None


def names_of(statement: ast.stmt) -> list[str]:
    """Names that a statement gives a value."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _uses(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Expressions that are a reference, texts that hold one, and names of which a reference is the value."""
    named: dict[str, str] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a text that explains something
        key = _key_of(statement.value) if isinstance(statement, ast.Assign) else None
        named = {name: known for name, known in named.items() if name not in names_of(statement)}
        for node in ast.walk(statement):
            if not isinstance(node, ast.expr):
                continue
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in named:
                yield node, named[node.id]
            elif (own := _key_of(node)) is not None:
                yield node, own
        if key is not None:
            named.update(dict.fromkeys(names_of(statement), key))


def _key_of(node: ast.expr) -> str | None:
    """The key that ``{{ _base_.key }}`` asks for, which Python reads as a set within a set, or that a text holds."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        found = REFERENCE.search(node.value)
        return found[1] if found else None
    for _ in range(2):
        if not isinstance(node, ast.Set) or len(node.elts) != 1:
            return None
        node = node.elts[0]
    text = ast.unparse(node)
    return text.removeprefix(f'{BASE_KEY}.') if text.startswith(f'{BASE_KEY}.') else None


def _is_whole_value(node: ast.expr, parents: dict[ast.AST, ast.AST]) -> bool:
    parent = parents[node]
    if isinstance(node, ast.Constant):  # quotes come on top of those that mmcv adds
        return False
    if isinstance(parent, ast.Dict):
        return node in parent.values and parent.keys[parent.values.index(node)] is not None
    if isinstance(parent, ast.keyword):
        return parent.arg is not None
    return isinstance(parent, ast.Assign | ast.List | ast.Tuple)
