"""From a detector to a program of torch.export."""

from typing import TYPE_CHECKING, Any

import torch

from mmdet.apis.export.graph import DetectorGraph, ExportError
from mmdet.apis.export.preprocessing import ImageInput
from mmdet.apis.export.requirements import require_torch

if TYPE_CHECKING:
    from torch.export import ExportedProgram

# px; below the least, maps of the highest levels have one cell, which torch treats apart
LEAST_SIDE, LARGEST_SIDE = 129, 8192
SIZE_DIVISOR = 32  # px; of sides whose feature maps fit together whatever the detector does with them
STEP = 64  # px that the images are larger by on which a program is tried
# in torch's messages where other sizes than those traced would not do
NOT_GENERAL = 'Constraints violated', 'Guard failed'


def export_program(
    graph: DetectorGraph | ImageInput,
    batch_size: int = 1,
    size: tuple[int, int] = (256, 320),
    dynamic_size: bool = True,
) -> 'tuple[ExportedProgram, int]':
    """Trace a detector.

    Args:
        graph: the detector as a module of tensors.
        batch_size: number of images that the program takes.
        size: height and width px of the images that are traced; with ``dynamic_size`` the program takes others as well.
        dynamic_size: heights and widths are variables of the program.

    Returns:
        a program that takes what ``graph.forward`` takes; and what the sides of its images must be multiples of, 0
        where they must be as traced.

    Raises:
        ExportError: torch is too old, or cannot trace a part, or not for images of any size.
    """
    require_torch()
    divisors = (1, SIZE_DIVISOR) if dynamic_size else (0,)
    for divisor in divisors:
        try:
            program = _traced(graph, batch_size, size, divisor)
            if divisor:
                _try_other_size(program, graph, batch_size, size)
            return program, divisor
        except Exception as error:  # torch raises what it likes
            if is_special(error) and divisor != divisors[-1]:
                continue
            raise _refusal(error, graph) from error
    raise AssertionError('one of the divisors returns or raises')


def _traced(
    graph: DetectorGraph | ImageInput, batch_size: int, size: tuple[int, int], divisor: int
) -> 'ExportedProgram':
    example = graph.example(batch_size, size, next(graph.parameters()).device)
    shapes: dict[str, Any] = {name: {} for name in example}
    if divisor:
        shapes[next(iter(example))] = {axis: _side(name, divisor) for axis, name in graph.sides.items()}
    return torch.export.export(graph, (), example, dynamic_shapes=shapes, strict=False)


@torch.no_grad()
def _try_other_size(
    program: 'ExportedProgram', graph: DetectorGraph | ImageInput, batch_size: int, size: tuple[int, int]
) -> None:
    """Run a program on larger images than those traced: numbers that tracing took for constants show then.

    Raises:
        AssertionError, RuntimeError: torch's, of a program that takes the traced size only.
    """
    larger = (size[0] + STEP, size[1] + STEP)
    try:
        program.module()(**graph.example(batch_size, larger, next(graph.parameters()).device))
    except AssertionError as error:
        # a bound, such as that a level has fewer cells than are kept of it, changes nothing in an operator that cuts
        if '==' in str(error):
            raise


def _side(name: str, divisor: int) -> Any:
    """A height or width in px."""
    from torch.export import Dim

    if divisor <= 1:
        return Dim(name, min=LEAST_SIDE, max=LARGEST_SIDE)
    return divisor * Dim(f'{name}_in_{divisor}s', min=-(-LEAST_SIDE // divisor), max=LARGEST_SIDE // divisor)


def is_special(error: Exception) -> bool:
    """Whether torch says that a program takes the traced size only."""
    return any(text in str(error) for text in NOT_GENERAL)


def _refusal(error: Exception, graph: DetectorGraph | ImageInput) -> ExportError:
    detector, text = type(graph.detector).__name__, str(error).strip()
    if is_special(error):
        return ExportError(
            f'{detector} cannot be exported for images of any size (torch: {_first_lines(text)}); export it for one '
            'size: dynamic_size=False (--fixed-size)'
        )
    return ExportError(f'{detector}: {_part_of(error)}torch.export cannot trace it: {_first_lines(text)}')


def _first_lines(text: str) -> str:
    return ' '.join(line.strip() for line in text.splitlines()[:3])[:500]


def _part_of(error: BaseException) -> str:
    """The deepest place in mmdet's own code where an error arose, for its message."""
    place, trace = '', error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        path = code.co_filename.replace('\\', '/')
        if '/mmdet/' in path and '/apis/export/' not in path and 'replaceable' not in path:
            place = (
                f'{getattr(code, "co_qualname", code.co_name)} (mmdet/{path.split("/mmdet/")[-1]}:{trace.tb_lineno}): '
            )
        trace = trace.tb_next
    return place


__all__ = ['export_program']
