"""One HTML page with a picture of every suggestion, to look through and to tick."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np

from mmdet.apis.label_errors.annotation_files import numbered
from mmdet.apis.label_errors.missing_rate import Rate
from mmdet.apis.label_errors.suggestions import Report, Suggestion
from mmdet.apis.label_errors.tables import RATE_COLUMNS, rate_rows
from mmdet.utils import atomic_write

SIDE = 220  # longer side of a picture, px
MARGIN = 0.6  # of the box's longer side, around it
# BGR
SUGGESTED, ANNOTATED, REPLACED = (40, 40, 230), (60, 170, 60), (0, 160, 255)

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Label errors</title>
<style>
body { font: 14px sans-serif; margin: 1.5em; } table { border-collapse: collapse; }
td, th { border: 1px solid #ccc; padding: 2px 8px; text-align: left; }
.item { display: inline-block; width: 236px; margin: 4px; padding: 4px; border: 1px solid #ccc; vertical-align: top; }
.item img { max-width: 100%; } .name { color: #666; overflow-wrap: anywhere; } textarea { width: 100%; height: 6em; }
</style></head><body>
"""
SCRIPT = """<script>
document.addEventListener('change', () => {
  document.getElementById('names').value =
    [...document.querySelectorAll('input:checked')].map(box => box.value).join('\\n');
});
</script></body></html>
"""


def picture(image: np.ndarray, report: Report, suggestion: Suggestion) -> np.ndarray:
    """The part of an image around a suggestion, with the suggested, the replaced and the other annotated boxes.

    Args:
        image: (H, W, 3) uint8 BGR.
        report: of the image.
        suggestion: one of its.

    Returns:
        (h, w, 3) uint8 BGR; the longer side is ``SIDE``.
    """
    boxes = np.asarray([suggestion.box, suggestion.old_box or suggestion.box])
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    margin = MARGIN * float((high - low).max())
    height, width = image.shape[:2]
    x1, y1 = (max(int(edge), 0) for edge in low - margin)
    x2, y2 = min(int(high[0] + margin) + 1, width), min(int(high[1] + margin) + 1, height)
    x1, y1 = min(x1, width - 1), min(y1, height - 1)
    crop = image[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    scale = SIDE / max(crop.shape[:2])
    size = tuple(max(round(side * scale), 1) for side in crop.shape[1::-1])
    drawn = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    others = [(box, ANNOTATED) for box in report.image.boxes]
    old = [(suggestion.old_box, REPLACED)] if suggestion.old_box else []
    for box, colour in (*others, *old, (suggestion.box, SUGGESTED)):
        corners = np.round((np.asarray(box).reshape(2, 2) - (x1, y1)) * scale).astype(int)
        cv2.rectangle(drawn, tuple(map(int, corners[0])), tuple(map(int, corners[1])), colour, 2)
    return drawn


def item(name: str, report: Report, suggestion: Suggestion, classes: Sequence[str], image: np.ndarray | None) -> str:
    """A suggestion's part of the page; None: its image cannot be read."""
    shown = '<p>the image cannot be read</p>'
    if image is not None:
        _, jpeg = cv2.imencode('.jpg', picture(image, report, suggestion), [cv2.IMWRITE_JPEG_QUALITY, 85])
        shown = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}">'
    text = f'{suggestion.kind}: {classes[suggestion.label]}'
    if suggestion.old_label not in (None, suggestion.label):
        text += f', not {classes[suggestion.old_label]}'
    return (
        f'<div class="item">{shown}<br><label><input type="checkbox" value="{html.escape(name)}"> {html.escape(text)}'
        f' ({suggestion.probability:.2f})</label><br><span class="name">{html.escape(name)}<br>'
        f'{html.escape(Path(report.image.path).name)}</span></div>\n'
    )


def read_image(path: str) -> np.ndarray | None:
    """An image (H, W, 3) uint8 BGR; None where it cannot be read."""
    try:
        return mmcv.imread(path)
    except OSError:
        return None


def write_page(
    reports: Sequence[Report], rates: Sequence[Rate], classes: Sequence[str], path: Path, most: int = 500
) -> int:
    """Write the page; the most probable suggestions come first.

    Args:
        reports: images with their suggestions.
        rates: missing rates, shown above.
        classes: names.
        path: of the page, which needs no other file.
        most: pictures.

    Returns:
        How many suggestions are on the page.
    """
    chosen = sorted(numbered(reports).items(), key=lambda pair: -pair[1][1].probability)[:most]
    rows = ''.join(f'<tr>{"".join(f"<td>{html.escape(cell)}</td>" for cell in row)}</tr>\n' for row in rate_rows(rates))
    columns = ''.join(f'<th>{name}</th>' for name in RATE_COLUMNS)
    last: tuple[str | None, Any] = (None, None)
    with atomic_write(path, encoding='utf-8') as file:
        file.write(f'{HEAD}<h1>Label errors</h1>\n<table><tr>{columns}</tr>\n{rows}</table>\n')
        file.write(
            f'<p>{len(chosen)} suggestions, the most probable first. Red: suggested; orange: to be replaced; green: '
            'annotated. Ticked names appear below; save them in a file for <code>--apply FILE</code>.</p>\n'
            '<textarea id="names" readonly></textarea>\n'
        )
        for name, (report, suggestion) in chosen:
            if last[0] != report.image.path:
                last = report.image.path, read_image(report.image.path)
            file.write(item(name, report, suggestion, classes, last[1]))
        file.write(SCRIPT)
    return len(chosen)
