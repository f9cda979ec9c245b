"""Pictures of training samples: what a network is fed with, and how much of it counts."""

import textwrap
from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmdet.core.visualization.image import DPI, Palette, imshow_det_bboxes
from mmdet.core.visualization.keypoints import draw_keypoints

IGNORED_COLOUR = '#ffd400'  # of boxes to ignore: dashed and hatched
CAPTION_FONT_SIZE = 9  # points
LINE_HEIGHT = 18  # px
POINTS_A_SIDE = 300  # widths of a limb in the shorter side of a picture
LABELLED = 0.5  # visibility between 0, not labelled, and 1, labelled
CHARACTER_WIDTH = 7.5  # px, at most, of the caption's font


def draw_sample(
    img: np.ndarray,
    bboxes: np.ndarray,
    labels: np.ndarray,
    masks: Any = None,
    bboxes_ignore: np.ndarray | None = None,
    caption: Sequence[str] = (),
    class_names: Sequence[str] | None = None,
    bbox_color: Palette = 'green',
    text_color: Palette = (200, 200, 200),
    mask_color: Palette = None,
    scale: float = 1,
    keypoints: np.ndarray | None = None,
    limbs: Sequence[tuple[int, int]] = (),
) -> np.ndarray:
    """Draw one training sample.

    Args:
        img: ``(H, W, 3)`` uint8, blue-green-red; not changed.
        bboxes: ``(n, 4)`` xyxy px.
        labels: ``(n,)``.
        masks: ``(n, H, W)``, or another form that ``imshow_det_bboxes`` takes.
        bboxes_ignore: ``(k, 4)``; outlined with dashes and hatched.
        caption: lines below the image.
        class_names: names by label.
        bbox_color, text_color, mask_color, scale: as for ``imshow_det_bboxes``.
        keypoints: ``(n, P, 3)`` x, y px and visibility; points that are not labelled (0) are left out.
        limbs: pairs of points that a line connects.

    Returns:
        The picture, ``(H * scale + caption, W * scale, 3)`` uint8, blue-green-red.
    """
    drawn = imshow_det_bboxes(
        img,
        bboxes,
        labels,
        masks,
        class_names=class_names,
        bbox_color=bbox_color,
        text_color=text_color,
        mask_color=mask_color,
        show=False,
        scale=scale,
    )
    height, width = drawn.shape[:2]
    if keypoints is not None and len(keypoints):
        points = np.asarray(keypoints, dtype=np.float32) * (scale, scale, 1)
        size = max(1, round(min(height, width) / POINTS_A_SIDE))
        drawn = draw_keypoints(drawn, points, limbs, LABELLED, radius=size + 1, thickness=size)
    lines = [part for line in caption for part in textwrap.wrap(line, max(10, int(width / CHARACTER_WIDTH)))]
    figure, canvas = _canvas(width, height + LINE_HEIGHT * len(lines))
    _put_image(figure, drawn, np.zeros((0, 4)) if bboxes_ignore is None else np.asarray(bboxes_ignore) * scale)
    for i, line in enumerate(lines):
        y = 1 - (height + (i + 0.5) * LINE_HEIGHT) / (height + LINE_HEIGHT * len(lines))
        figure.text(4 / width, y, line, fontsize=CAPTION_FONT_SIZE, va='center')
    canvas.draw()
    return mmcv.rgb2bgr(np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3]))


def _canvas(width: int, height: int) -> tuple[Figure, FigureCanvasAgg]:
    """A white figure of so many pixels."""
    # a hundredth of a pixel more, so that rounding never loses a row or a column
    figure = Figure(figsize=((width + 0.01) / DPI, (height + 0.01) / DPI), dpi=DPI)
    return figure, FigureCanvasAgg(figure)


def _put_image(figure: Figure, drawn: np.ndarray, ignored: np.ndarray) -> None:
    """Put a picture at the top of the figure, with boxes (k, 4) to ignore on it."""
    height, width = drawn.shape[:2]
    fraction = height / (figure.get_figheight() * DPI - 0.01)
    axes = figure.add_axes((0, 1 - fraction, 1, fraction))
    axes.axis('off')
    axes.imshow(mmcv.bgr2rgb(drawn), extent=(0, width, height, 0), interpolation='nearest', aspect='auto')
    patches = [Rectangle((x1, y1), x2 - x1, y2 - y1) for x1, y1, x2, y2 in ignored.tolist()]
    axes.add_collection(
        PatchCollection(
            patches, facecolor='none', edgecolor=IGNORED_COLOUR, linestyle='--', linewidth=1.5, hatch='//', alpha=0.9
        )
    )
    for x1, y1, _, _ in ignored.tolist():
        background = dict(facecolor='black', alpha=0.7, pad=0.7, edgecolor='none')
        axes.text(x1, y1, 'ignored', color=IGNORED_COLOUR, fontsize=8, va='bottom', bbox=background, clip_on=True)
