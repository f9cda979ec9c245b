"""What an assertion of another package asks for, where it does not say so itself."""

import ast
import linecache
import traceback
from types import FrameType, TracebackType
from typing import Any


def asserted(error: AssertionError) -> str | None:
    """The condition of an assertion that failed, as it stands in the code, with the values of a comparison.

    mmcv's registries raise an error anew with the name of the class in front; the first one is looked at.

    Returns:
        Such as ``"ffn_cfgs['embed_dims'] == self.embed_dims, and that is 32 == 256"``; None where there is no code.
    """
    first: BaseException = error
    while isinstance(first.__context__, AssertionError):
        first = first.__context__
    found = _innermost(first.__traceback__)
    if found is None:
        return None
    frame, line = found
    try:
        tree = ast.parse(''.join(linecache.getlines(frame.f_code.co_filename)))
    except SyntaxError:
        return None
    tests = [
        node.test
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return _with_values(tests[0], frame) if tests else None


def _innermost(trace: TracebackType | None) -> tuple[FrameType, int] | None:
    frames = list(traceback.walk_tb(trace))
    return frames[-1] if frames else None


def _with_values(test: ast.expr, frame: FrameType) -> str:
    text = ast.unparse(test)
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return text
    values = [_value(side, frame) for side in (test.left, test.comparators[0])]
    if not all(isinstance(value, int | float | str | tuple | list) for value in values):
        return text
    sign = ast.unparse(ast.Compare(ast.Name('a'), test.ops, [ast.Name('b')]))[2:-2]
    return f'{text}, and that is {values[0]!r} {sign} {values[1]!r}'


def _value(side: ast.expr, frame: FrameType) -> Any:
    """What a side of a comparison was; None where it cannot be told without calling something again."""
    if any(isinstance(node, ast.Call | ast.Await | ast.Yield | ast.NamedExpr) for node in ast.walk(side)) and not (
        isinstance(side, ast.Call) and isinstance(side.func, ast.Name) and side.func.id == 'len'
    ):
        return None
    try:
        return eval(compile(ast.Expression(side), 'the assertion', 'eval'), frame.f_globals, frame.f_locals)
    except Exception:  # properties and items of objects that are half made
        return None
