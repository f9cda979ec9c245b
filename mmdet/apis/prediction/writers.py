"""Outputs of predictions: COCO JSON, CSV, YOLO text, pictures, video, a window, the terminal."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import mmcv
import numpy as np

from mmdet.apis.prediction.predictor import Prediction, file_of
from mmdet.datasets.metrics.coco_results import boxes_to_xywh
from mmdet.utils.errors import ReportedError
from mmdet.utils.output_paths import OutputPaths

Draw = Callable[[Prediction], np.ndarray]
# backends of matplotlib that only write files
_NO_WINDOWS = ('agg', 'cairo', 'pdf', 'pgf', 'ps', 'svg', 'template')


class OutputError(ReportedError, ValueError):
    """An output that cannot be made."""


class Writer(Protocol):
    """Takes the predictions of images that could be read, one after the other."""

    def write(self, prediction: Prediction, image_id: int) -> None:
        """Take one."""

    def close(self) -> None:
        """Finish the files."""


class CocoJson:
    """``detections.json``, a list as COCO's tools load it, and ``images.json`` with the images that it speaks of.

    Entries have the names of file and category besides; masks are run lengths.

    Args:
        folder: for both files.
        classes: names of the labels.
        category_ids: of the labels.
    """

    def __init__(self, folder: Path, classes: Sequence[str], category_ids: Sequence[int]) -> None:
        self.folder = folder
        self.classes = classes
        self.category_ids = category_ids
        self._rows: list[dict[str, Any]] = []
        self._images: list[dict[str, Any]] = []

    def write(self, prediction: Prediction, image_id: int) -> None:
        """Take one."""
        name, (width, height) = prediction.item.name, prediction.size_wh
        self._images.append(dict(id=image_id, file_name=name, width=width, height=height))
        self._rows.extend(coco_rows(prediction, image_id, self.classes, self.category_ids))

    def close(self) -> None:
        """Write both files."""
        categories = [dict(id=number, name=name) for number, name in zip(self.category_ids, self.classes)]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / 'detections.json').write_text(json.dumps(self._rows))
        (self.folder / 'images.json').write_text(json.dumps(dict(images=self._images, categories=categories)))


def coco_rows(
    prediction: Prediction, image_id: int, classes: Sequence[str], category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """Entries of COCO's result format for one image, with the names of file and category."""
    found: Any = prediction.detections
    rows = []
    for i, (label, bbox) in enumerate(zip(found.labels.tolist(), boxes_to_xywh(found.boxes))):
        row = dict(
            image_id=image_id,
            file_name=prediction.item.name,
            category_id=category_ids[label],
            category_name=classes[label],
            bbox=bbox,
            score=float(found.scores[i]),
        )
        if found.masks is not None:
            row['segmentation'] = dict(found.masks[i], counts=found.masks[i]['counts'].decode())
        if found.keypoints is not None:
            row['keypoints'] = found.keypoints[i].astype(float).ravel().tolist()
        rows.append(row)
    return rows


class Csv:
    """``detections.csv``: one line a detection, corners in pixels; arguments as of :class:`CocoJson`."""

    HEADER = ('file_name', 'image_id', 'category_id', 'category_name', 'score', 'x1', 'y1', 'x2', 'y2')

    def __init__(self, folder: Path, classes: Sequence[str], category_ids: Sequence[int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.classes = classes
        self.category_ids = category_ids
        self._file = open(folder / 'detections.csv', 'w', newline='', encoding='utf-8')  # noqa: SIM115 - open till close
        self._rows = csv.writer(self._file)
        self._rows.writerow(self.HEADER)

    def write(self, prediction: Prediction, image_id: int) -> None:
        """Take one."""
        found: Any = prediction.detections
        for label, score, box in zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist()):
            numbers = [f'{value:.2f}' for value in box]
            name, category = prediction.item.name, self.category_ids[label]
            self._rows.writerow([name, image_id, category, self.classes[label], f'{score:.4f}', *numbers])

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class YoloText:
    """``labels/NAME.txt`` for each image: class, centre, width, height as fractions of the image, score.

    Args:
        folder: for ``labels`` and ``classes.txt``.
        classes: names of the labels; their numbers count from 0.
        root: folder of the images.
    """

    def __init__(self, folder: Path, classes: Sequence[str], root: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'classes.txt').write_text(''.join(f'{name}\n' for name in classes), encoding='utf-8')
        self._paths = OutputPaths(folder / 'labels', root)

    def write(self, prediction: Prediction, image_id: int) -> None:
        """Write the file of one image; an empty one where nothing was found."""
        found: Any = prediction.detections
        corners = found.boxes.astype(np.float64) / np.tile(prediction.size_wh, 2)
        centres, sizes = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
        rows = np.concatenate([centres, sizes, found.scores[:, None]], axis=1).tolist()
        lines = [' '.join([str(label), *(f'{v:.6f}' for v in row)]) for label, row in zip(found.labels, rows)]
        self._paths(prediction.item.name, ending='.txt').write_text(''.join(f'{line}\n' for line in lines))

    def close(self) -> None:
        """Nothing is left to do."""


def can_write_image(name: str | Path) -> bool:
    """Whether OpenCV writes the kind of image that a name's ending says."""
    return bool(Path(name).suffix) and cv2.haveImageWriter(str(name))


class Pictures:
    """A picture with detections for each image, under its name; ``.png`` where its ending says no kind of image.

    Args:
        paths: a function of name and source, such as ``OutputPaths``.
        draw: makes the picture.
    """

    def __init__(self, paths: Callable[[str, Path | None], Path], draw: Draw) -> None:
        self._paths = paths
        self._draw = draw

    def write(self, prediction: Prediction, image_id: int) -> None:
        """Write one."""
        path = self._paths(prediction.item.name, file_of(prediction.item))
        path = path if can_write_image(path) else path.with_name(f'{path.name}.png')
        mmcv.imwrite(self._draw(prediction), str(path))

    def close(self) -> None:
        """Nothing is left to do."""


class Video:
    """A video of the pictures; all have the size of the first.

    Args:
        path: ``.mp4`` or ``.avi``.
        fps: pictures a second.
        draw: makes the pictures.
    """

    CODECS = {'.mp4': 'mp4v', '.avi': 'MJPG', '.mkv': 'mp4v', '.mov': 'mp4v'}

    def __init__(self, path: Path, fps: float, draw: Draw) -> None:
        if path.suffix.lower() not in self.CODECS:
            raise OutputError(f'{path}: expected the name of a video, ending in {", ".join(self.CODECS)}')
        self.path = path
        self._fps = fps
        self._draw = draw
        self._video: Any = None
        self._size: tuple[int, int] = (0, 0)

    def write(self, prediction: Prediction, image_id: int) -> None:
        """Add one picture."""
        picture = self._draw(prediction)
        if self._video is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._size = (picture.shape[1], picture.shape[0])
            codec = cv2.VideoWriter.fourcc(*self.CODECS[self.path.suffix.lower()])
            self._video = cv2.VideoWriter(str(self.path), codec, self._fps, self._size)
            if not self._video.isOpened():
                raise OutputError(f'{self.path} cannot be written (OpenCV has no codec for it, or no right to)')
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size)
        self._video.write(picture)

    def close(self) -> None:
        """Finish the file."""
        if self._video is not None:
            self._video.release()


class Lines:
    """Each detection as a line on the terminal."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes

    def write(self, prediction: Prediction, image_id: int) -> None:
        """Print those of one image."""
        found: Any = prediction.detections
        for label, score, box in zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist()):
            print(f'{self.classes[label]}  {score:.3f}  ({", ".join(f"{value:.1f}" for value in box)})')

    def close(self) -> None:
        """Nothing is left to do."""


class StopShowing(Exception):
    """Who looks at the window has seen enough."""


class Window:
    """Shows the pictures.

    Args:
        draw: makes the pictures.
        wait: seconds that one stays; 0: until a key is pressed or the window is closed.

    Raises:
        OutputError: there is no display.
    """

    def __init__(self, draw: Draw, wait: float) -> None:
        from matplotlib import pyplot  # only here: it looks for a display

        if pyplot.get_backend().lower() in _NO_WINDOWS:
            raise OutputError(
                f'--show: there is no display (matplotlib draws with {pyplot.get_backend()}); use --out-dir'
            )
        self._draw = draw
        self._wait = wait
        self._pyplot = pyplot
        self._figure: Any = None
        self._image: Any = None
        self._stopped = False

    def write(self, prediction: Prediction, image_id: int) -> None:
        """Show one.

        Raises:
            StopShowing: q or Escape was pressed, or the window closed.
        """
        picture = mmcv.bgr2rgb(self._draw(prediction))
        if self._figure is None:
            self._figure = self._pyplot.figure('detections')
            axes = self._figure.add_axes((0, 0, 1, 1))
            axes.axis('off')
            self._image = axes.imshow(picture)
            self._figure.canvas.mpl_connect('key_press_event', self._key)
        self._image.set(data=picture, extent=(0, picture.shape[1], picture.shape[0], 0))
        self._pyplot.draw()
        if self._wait:
            self._pyplot.pause(self._wait)
        else:
            self._pyplot.waitforbuttonpress()
        if self._stopped or not self._pyplot.fignum_exists(self._figure.number):
            raise StopShowing

    def _key(self, event: Any) -> None:
        self._stopped = self._stopped or event.key in ('q', 'escape')

    def close(self) -> None:
        """Close the window."""
        if self._figure is not None:
            self._pyplot.close(self._figure)


def can_show() -> bool:
    """Whether there is a display."""
    from matplotlib import pyplot

    return pyplot.get_backend().lower() not in _NO_WINDOWS
