"""Draw boxes, masks and labels on images.

Images are ``(H, W, 3)`` uint8, blue-green-red, as OpenCV reads them. Boxes are ``(n, 4)`` or, with scores, ``(n, 5)``
xyxy in pixels of the image, where pixel 0 covers 0 to 1. Colours are red-green-blue, 0 to 255, unless said otherwise.

Pictures are drawn off screen; a display is only needed with ``show=True``.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import mmcv
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from mmdet.core.visualization.instances import Instances, from_annotation, from_result, keep_confident, make_instances
from mmdet.core.visualization.labels import draw_labels
from mmdet.core.visualization.palette import RGB, get_palette, palette_val
from mmdet.core.visualization.reading import read_image

Palette = list[RGB] | RGB | str | None

DPI = 100
MASK_ALPHA = 0.5
LARGE_SIDE = 800  # px; lines and texts grow with images whose shorter side is longer
SIDE_BY_SIDE_GAP = 4  # white pixels between two pictures


def color_val_matplotlib(color: Any) -> tuple[float, float, float]:
    """A colour as mmcv takes it (a name, blue-green-red 0 to 255, a grey value) to red-green-blue 0 to 1."""
    blue, green, red = mmcv.color_val(color)
    return red / 255, green / 255, blue / 255


def _get_adaptive_scales(areas: np.ndarray, min_area: float = 800, max_area: float = 30000) -> np.ndarray:
    """Scale of the text of objects of ``areas`` (px^2): 0.5 up to ``min_area``, rising to 1 towards ``max_area``."""
    return np.clip(0.5 + (areas - min_area) / (max_area - min_area), 0.5, 1.0)


def _get_bias_color(base: Sequence[int], max_dist: int = 30, rng: np.random.Generator | None = None) -> RGB:
    """A colour that differs from ``base`` by at most ``max_dist`` in each channel, to tell masks of a class apart."""
    shift = (rng or np.random.default_rng()).integers(-max_dist, max_dist + 1, size=3)
    return tuple(np.clip(np.asarray(base) + shift, 0, 255).tolist())


def draw_bboxes(ax: Axes, bboxes: np.ndarray, color: Any = 'g', alpha: float = 0.8, thickness: float = 2) -> Axes:
    """Outline boxes.

    Args:
        ax: where to draw, in pixels of the image.
        bboxes: ``(n, 4)`` xyxy.
        color: one matplotlib colour, or one a box.
        alpha: 1 is opaque.
        thickness: of the lines, in points.
    """
    patches = [Rectangle((x1, y1), x2 - x1, y2 - y1) for x1, y1, x2, y2 in np.asarray(bboxes).tolist()]
    ax.add_collection(PatchCollection(patches, facecolor='none', edgecolors=color, linewidths=thickness, alpha=alpha))
    return ax


def draw_masks(
    ax: Axes,
    img: np.ndarray,
    masks: np.ndarray,
    color: list[RGB] | np.ndarray | None = None,
    with_edge: bool = True,
    alpha: float = 0.8,
) -> tuple[Axes, np.ndarray]:
    """Tint what masks cover and outline them.

    Args:
        ax: gets the outlines.
        img: ``(H, W, 3)`` uint8, of the same order of channels as ``color``; not changed.
        masks: ``(n, H, W)``.
        color: one colour a mask; a colour that comes again is varied a little. Default: random ones.
        with_edge: draw outlines.
        alpha: 1 hides the image under a mask.

    Returns:
        ``ax`` and the tinted image.
    """
    colours = get_palette(None, len(masks)) if color is None else [tuple(c) for c in np.asarray(color).tolist()]
    rng = np.random.default_rng(0)
    tinted, taken = img.copy(), set()
    for mask, colour in zip(np.asarray(masks).astype(bool), colours):
        colour = _get_bias_color(colour, rng=rng) if colour in taken else colour
        taken.add(colour)
        tinted[mask] = tinted[mask] * (1 - alpha) + np.asarray(colour) * alpha
        if with_edge:
            edges = PatchCollection(_outlines(mask), facecolor='none', edgecolors=palette_val([colour]))
            ax.add_collection(edges)
    return ax, tinted


def _outlines(mask: np.ndarray) -> list[Polygon]:
    """The borders of a mask ``(H, W)``, outer and inner."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [Polygon(contour.reshape(-1, 2) + 0.5) for contour in contours]  # + 0.5: the middle of a pixel


def _mask_places(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (n, 2) and area (n,) of the largest piece of each mask; an empty mask: (0, 0) and 0."""
    places = np.zeros((len(masks), 3))
    for i, mask in enumerate(masks):
        _, _, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        if len(stats) > 1:  # the first is the background
            largest = 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
            places[i] = *centres[largest], stats[largest, cv2.CC_STAT_AREA]
    return places[:, :2], places[:, 2]


class _Canvas:
    """A picture being drawn, pixel for pixel as large as the image below it."""

    def __init__(self, img: np.ndarray) -> None:
        self.height, self.width = img.shape[:2]
        # a hundredth of a pixel more, so that rounding never loses a row or a column
        self.figure = Figure(figsize=((self.width + 0.01) / DPI, (self.height + 0.01) / DPI), dpi=DPI)
        self.canvas = FigureCanvasAgg(self.figure)
        self.ax = self.figure.add_axes((0, 0, 1, 1))
        self.ax.axis('off')
        self.ax.set_xlim(0, self.width)
        self.ax.set_ylim(self.height, 0)
        self.img = mmcv.bgr2rgb(img)

    def draw(
        self,
        objects: Instances,
        class_names: Sequence[str] | None,
        colours: tuple[Palette, Palette, Palette],
        thickness: float,
        font_size: float,
        labels_below: bool,
    ) -> None:
        """Draw objects, small ones last; ``colours`` are those of boxes, texts and masks."""
        growth = max(1.0, min(self.height, self.width) / LARGE_SIDE)
        thickness, font_size = thickness * growth, font_size * growth
        num_colours = int(objects.labels.max(initial=-1)) + 1
        if objects.bboxes is not None:
            sizes = objects.bboxes[:, 2:] - objects.bboxes[:, :2]
            positions, areas = objects.bboxes[:, [0, 3 if labels_below else 1]], sizes.prod(1)
            align = dict(vertical_alignment='top' if labels_below else 'bottom')
        else:
            masks = np.zeros((0, 1, 1), bool) if objects.masks is None else objects.masks
            positions, areas = _mask_places(masks)
            align = dict(horizontal_alignment='center', vertical_alignment='center')
        order = np.argsort(-areas, kind='stable')
        objects, positions, areas = objects.select(order), positions[order], areas[order]
        of_boxes, of_texts, of_masks = (
            [palette[label] for label in objects.labels] for palette in (get_palette(c, num_colours) for c in colours)
        )
        if objects.masks is not None:
            self.img = draw_masks(self.ax, self.img, objects.masks, of_masks, alpha=MASK_ALPHA)[1]
        if objects.bboxes is not None:
            draw_bboxes(self.ax, objects.bboxes, palette_val(of_boxes), thickness=thickness)
        draw_labels(
            self.ax,
            objects.labels,
            positions,
            objects.scores,
            class_names,
            palette_val(of_texts),
            font_size,
            _get_adaptive_scales(areas),
            **align,
        )

    def render(self) -> np.ndarray:
        """The picture, (H, W, 3) uint8, blue-green-red."""
        # laid under the axes as it is: drawn inside of them it is resampled, by some releases a pixel off
        self.figure.figimage(self.img, origin='upper', zorder=-1)
        self.canvas.draw()
        return mmcv.rgb2bgr(np.ascontiguousarray(np.asarray(self.canvas.buffer_rgba())[..., :3]))


def _enlarge(img: np.ndarray, objects: Instances, scale: float) -> tuple[np.ndarray, Instances]:
    """Image and objects ``scale`` times as large."""
    if scale == 1:
        return img, objects
    size = (round(img.shape[1] * scale), round(img.shape[0] * scale))
    masks = objects.masks
    if masks is not None:
        resized = [cv2.resize(m.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) for m in masks]
        masks = np.stack(resized).astype(bool) if resized else np.zeros((0, size[1], size[0]), dtype=bool)
    bboxes = None if objects.bboxes is None else objects.bboxes * scale
    return cv2.resize(img, size, interpolation=cv2.INTER_CUBIC), objects._replace(bboxes=bboxes, masks=masks)


def _show_and_write(img: np.ndarray, win_name: str, show: bool, wait_time: float, out_file: str | None) -> None:
    """Write a finished picture, and show it in a window for ``wait_time`` seconds (0: until it is closed)."""
    if out_file is not None:
        mmcv.imwrite(img, str(out_file))
    if not show:
        return
    from matplotlib import pyplot as plt  # only here: it looks for a display

    figure = plt.figure(win_name or None, figsize=(img.shape[1] / DPI, img.shape[0] / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis('off')
    axes.imshow(mmcv.bgr2rgb(img))
    plt.show(block=wait_time == 0)
    if wait_time > 0:
        plt.pause(wait_time)
    plt.close(figure)


def imshow_det_bboxes(
    img: str | np.ndarray,
    bboxes: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    segms: Any = None,
    class_names: Sequence[str] | None = None,
    score_thr: float = 0,
    bbox_color: Palette = 'green',
    text_color: Palette = 'green',
    mask_color: Palette = None,
    thickness: float = 2,
    font_size: float = 8,
    win_name: str = '',
    show: bool = True,
    wait_time: float = 0,
    out_file: str | None = None,
    scale: float = 1,
) -> np.ndarray:
    """Draw objects on one image.

    Args:
        img: a path, or ``(H, W, 3)`` blue-green-red; not changed.
        bboxes: ``(n, 4)``, or ``(n, 5)`` with scores.
        labels: ``(n,)``. Default: all 0.
        segms: masks ``(n, H, W)``, or a list of masks or of COCO's run lengths.
        class_names: names by label.
        score_thr: draw what scores more; 0: everything.
        bbox_color, text_color, mask_color: a colour, a list with one a class, or a name (see ``get_palette``).
            Default: green boxes and texts, random masks.
        thickness: of lines, in points; more on images whose shorter side is above 800 px, and so for the texts.
        font_size: of large objects' texts, in points; small objects have smaller ones.
        win_name: title of the window.
        show: open a window.
        wait_time: seconds that it stays open; 0: until it is closed.
        out_file: where to write the picture. Default: nowhere.
        scale: the picture is this many times as large as the image; small images are easier to read with 2 or more.

    Returns:
        The picture, ``(H * scale, W * scale, 3)`` uint8, blue-green-red.

    Raises:
        ValueError: neither boxes nor masks, shapes that do not fit, or a threshold without scores.
    """
    objects = keep_confident(make_instances(bboxes, labels, segms), score_thr)
    colours = (bbox_color, text_color, mask_color)
    img, objects = _enlarge(read_image(img), objects, scale)
    picture = _Canvas(img)
    picture.draw(objects, class_names, colours, thickness, font_size, labels_below=False)
    drawn = picture.render()
    _show_and_write(drawn, win_name, show, wait_time, out_file)
    return drawn


def imshow_gt_det_bboxes(
    img: str | np.ndarray,
    annotation: dict,
    result: Any,
    class_names: Sequence[str] | None = None,
    score_thr: float = 0,
    gt_bbox_color: Palette = (61, 102, 255),
    gt_text_color: Palette = (200, 200, 200),
    gt_mask_color: Palette = (61, 102, 255),
    det_bbox_color: Palette = (241, 101, 72),
    det_text_color: Palette = (200, 200, 200),
    det_mask_color: Palette = (241, 101, 72),
    thickness: float = 2,
    font_size: float = 13,
    win_name: str = '',
    show: bool = True,
    wait_time: float = 0,
    out_file: str | None = None,
    overlay_gt_pred: bool = True,
    scale: float = 1,
) -> np.ndarray:
    """Draw ground truth and detections of one image.

    Args:
        img: a path, or ``(H, W, 3)`` blue-green-red; not changed.
        annotation: ``gt_bboxes`` ``(n, 4)``, ``gt_labels`` ``(n,)`` and, if there are any, ``gt_masks``.
        result: output of the detector for this image: boxes ``(n, 5)`` of each class, or these and masks.
        class_names: names by label.
        score_thr: draw detections that score more; 0: all.
        gt_bbox_color, gt_text_color, gt_mask_color: as in ``imshow_det_bboxes``. Default: blue.
        det_bbox_color, det_text_color, det_mask_color: the same for detections. Default: orange.
        thickness, font_size, win_name, show, wait_time, out_file, scale: as in ``imshow_det_bboxes``.
        overlay_gt_pred: both on one picture, detections' texts below their boxes; else the ground truth on the left
            and the detections on the right.

    Returns:
        The picture, blue-green-red; about twice as wide without ``overlay_gt_pred``.
    """
    img = read_image(img)
    dets = from_result(result, None if class_names is None else len(class_names))
    dets = dets if dets.scores is None else keep_confident(dets, score_thr)
    enlarged, gts = _enlarge(img, from_annotation(annotation), scale)
    dets = _enlarge(img, dets, scale)[1]
    gt_colours = (gt_bbox_color, gt_text_color, gt_mask_color)
    det_colours = (det_bbox_color, det_text_color, det_mask_color)

    left = _Canvas(enlarged)
    right = left if overlay_gt_pred else _Canvas(enlarged)
    left.draw(gts, class_names, gt_colours, thickness, font_size, labels_below=False)
    right.draw(dets, class_names, det_colours, thickness, font_size, labels_below=overlay_gt_pred)
    if overlay_gt_pred:
        drawn = left.render()
    else:
        gap = np.full((enlarged.shape[0], SIDE_BY_SIDE_GAP, 3), 255, dtype=np.uint8)
        drawn = np.concatenate([left.render(), gap, right.render()], axis=1)
    _show_and_write(drawn, win_name, show, wait_time, out_file)
    return drawn
