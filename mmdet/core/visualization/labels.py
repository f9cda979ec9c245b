"""Texts beside objects: placed on the picture and, where there is room, clear of one another."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from matplotlib.transforms import Bbox

MIN_FONT_SIZE = 6.5  # points, 9 pixels at this resolution: smaller text cannot be read
DARK_TEXT = 0.35  # text of less luminance (0 to 1) stands on white, other text on black
LABEL_STEPS = (0, -1, 1, -2, 2, -3, 3, -4, 4)  # heights by which a label is moved to be clear of others


def draw_labels(
    ax: Axes,
    labels: np.ndarray,
    positions: np.ndarray,
    scores: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    color: Any = 'w',
    font_size: float = 8,
    scales: np.ndarray | None = None,
    horizontal_alignment: str = 'left',
    vertical_alignment: str = 'bottom',
) -> Axes:
    """Write the class and the score of each object.

    Texts are moved where needed to stay on the picture and, where there is room nearby, to be clear of one another.

    Args:
        ax: where to draw, in pixels of the image.
        labels: ``(n,)``.
        positions: ``(n, 2)`` x, y of the texts.
        scores: ``(n,)``.
        class_names: names by label; without them it is "class 3".
        color: one matplotlib colour, or a list with one for each object.
        font_size: in points.
        scales: ``(n,)`` factors of the font size.
        horizontal_alignment: which edge of the text is at x: 'left', 'center', 'right'.
        vertical_alignment: which edge of the text is at y: 'bottom' (it stands above), 'center', 'top'.
    """
    placed: list[Bbox] = []
    for i, (label, (x, y)) in enumerate(zip(np.asarray(labels).tolist(), np.asarray(positions).tolist())):
        name = f'class {label}' if class_names is None else class_names[label]
        colour = color[i] if isinstance(color, list) else color
        text = ax.text(
            x,
            y,
            name if scores is None else f'{name}|{scores[i]:.2f}',
            color=colour,
            fontsize=max(font_size * (1 if scales is None else scales[i]), MIN_FONT_SIZE),
            bbox=_label_background(colour),
            ha=horizontal_alignment,
            va=vertical_alignment,
        )
        _move_inside(ax, text)
        _move_apart(ax, text, placed)
    return ax


def _label_background(colour: Any) -> dict[str, Any]:
    """A patch on which text of ``colour`` can be read."""
    luminance = np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722))  # Rec. 709
    return dict(facecolor='white' if luminance < DARK_TEXT else 'black', alpha=0.7, pad=0.7, edgecolor='none')


def _move_inside(ax: Axes, text: Text) -> None:
    """Shift a text by as much as it stands out of the picture."""
    extent = text.get_window_extent().transformed(ax.transData.inverted())
    x, y = text.get_position()
    text.set_position(
        (
            x + _shift_into(*sorted(extent.intervalx), *sorted(ax.get_xlim())),
            y + _shift_into(*sorted(extent.intervaly), *sorted(ax.get_ylim())),
        )
    )


def _move_apart(ax: Axes, text: Text, placed: list[Bbox]) -> None:
    """Move a text up or down to the nearest place within the picture where it covers no earlier one."""
    extent, (x, y) = text.get_window_extent().padded(1), text.get_position()
    per_pixel = 1 / (ax.transData.transform((0, 1))[1] - ax.transData.transform((0, 0))[1])
    for step in LABEL_STEPS:
        moved = extent.translated(0, step * extent.height)
        inside = moved.y0 >= ax.bbox.y0 - 2 and moved.y1 <= ax.bbox.y1 + 2
        if (step == 0 or inside) and not moved.count_overlaps(placed):
            text.set_position((x, y + step * extent.height * per_pixel))
            break
    else:
        moved = extent
    placed.append(moved)


def _shift_into(low: float, high: float, min_low: float, max_high: float) -> float:
    """How far the interval must move to lie within the limits; its lower end counts where it is too long."""
    return max(min(0.0, max_high - high), min_low - low)
