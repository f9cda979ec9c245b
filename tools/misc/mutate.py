"""Change single places of changed source files and see whether their tests notice.

    python tools/misc/mutate.py                     files that differ from the last commit
    python tools/misc/mutate.py mmdet/core/targets.py --limit 10 --tests tests/core/test_targets.py

Each mutant is one change: a comparison turned round or made strict, an operator of arithmetic swapped, a number one
larger, a condition negated. The file is changed in a copy of the tree, and the tests are run there: those named, else
the test of the file's name. A mutant that no test notices is printed with its line; the exit status is then 1.
"""

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
COPIED = ('mmdet', 'tests', 'tools', 'configs', 'demo', 'benchmarks', 'docs', 'pyproject.toml', 'README.md', 'setup.py')


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, description and source of every mutant of a module."""
    tree = ast.parse(source)
    for index, node in enumerate(ast.walk(tree)):
        mutated = copy.deepcopy(tree)
        twin = next(other for number, other in enumerate(ast.walk(mutated)) if number == index)
        what = mutate(twin)
        if what:
            yield node.lineno, what, ast.unparse(ast.fix_missing_locations(mutated))


def mutate(node: ast.AST) -> str | None:
    """Change a node in place; what was changed, or None where there is nothing to change."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        before = type(node.ops[0])
        node.ops[0] = COMPARISONS[before]()
        return f'{before.__name__} -> {COMPARISONS[before].__name__}'
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        before = type(node.op)
        node.op = ARITHMETIC[before]()
        return f'{before.__name__} -> {ARITHMETIC[before].__name__}'
    if isinstance(node, ast.Constant) and type(node.value) in (int, float) and hasattr(node, 'lineno'):
        node.value = node.value + 1
        return f'{node.value - 1} -> {node.value}'
    if isinstance(node, ast.IfExp):
        node.body, node.orelse = node.orelse, node.body
        return 'branches swapped'
    return None


def changed_files() -> list[Path]:
    """Source files that differ from the last commit."""
    done = subprocess.run(['git', 'diff', '--name-only', 'HEAD'], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in done.stdout.split() if name.startswith('mmdet/') and name.endswith('.py')]


def tests_of(path: Path) -> list[str]:
    """The tests of a source file by its name."""
    return [str(found.relative_to(ROOT)) for found in (ROOT / 'tests').rglob(f'test_{path.stem}.py')]


def is_noticed(tree: Path, tests: list[str]) -> bool:
    """Whether the tests fail in a copy of the tree."""
    command = [sys.executable, '-m', 'pytest', '-x', '-q', '-p', 'no:cacheprovider', *tests]
    done = subprocess.run(command, cwd=tree, env=environment(tree), capture_output=True, timeout=600)
    return done.returncode != 0


def environment(tree: Path) -> dict[str, str]:
    """The environment, with the copy of the package first on the path."""
    return {**os.environ, 'PYTHONPATH': str(tree), 'PYTHONDONTWRITEBYTECODE': '1'}


def survivors(path: Path, tests: list[str], limit: int, seed: int) -> list[str]:
    """Mutants of one file that its tests do not notice, as lines of text.

    Raises:
        SystemExit: the tests fail already without a mutant.
    """
    original = (ROOT / path).read_text(encoding='utf-8')
    found = list(mutants(original))
    random.Random(seed).shuffle(found)
    alive = []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            source = ROOT / name
            copy_of = shutil.copytree if source.is_dir() else shutil.copy
            copy_of(source, tree / name)
        if is_noticed(tree, tests):
            raise SystemExit(f'{path}: its tests fail without a mutant: {" ".join(tests)}')
        for line, what, source in found[:limit]:
            (tree / path).write_text(source, encoding='utf-8')
            if not is_noticed(tree, tests):
                alive.append(f'{path}:{line}: {what}')
    return alive


def parse_args() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('files', nargs='*', type=Path, help='default: source files that differ from the last commit')
    parser.add_argument('--tests', nargs='*', help="default: the tests of each file's name")
    parser.add_argument('--limit', type=int, default=20, help='mutants a file')
    parser.add_argument('--seed', type=int, default=0, help='which mutants are drawn')
    return parser.parse_args()


def main() -> None:
    """Run from the command line."""
    args = parse_args()
    alive = []
    for path in args.files or changed_files():
        tests = args.tests or tests_of(path)
        if not tests:
            print(f'{path}: no test of this name; give --tests')
            continue
        alive += survivors(path, tests, args.limit, args.seed)
    print('\n'.join(alive) or 'every mutant was noticed')
    sys.exit(bool(alive))


if __name__ == '__main__':
    main()
