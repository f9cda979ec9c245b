"""What the readers of all formats give: images with named boxes, and their way into COCO's JSON."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.datasets.audit.files import header_size
from mmdet.utils.errors import ReportedError

IMAGE_ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')


class AnnotationError(ReportedError, ValueError):
    """Annotations cannot be read; the text names the file."""


class Box(NamedTuple):
    """An annotated object."""

    name: str
    xyxy: tuple[float, float, float, float]  # px, from the upper left corner of the image
    polygon: tuple[float, ...] = ()  # x, y, x, y, ... px; empty: a box alone
    difficult: bool = False  # neither to be found nor to be missed


class AnnotatedImage(NamedTuple):
    """An image and its objects."""

    file_name: str  # relative to the folder of the images
    width: int  # px
    height: int
    boxes: list[Box]


def polygon_box(name: str, points: Sequence[float]) -> Box:
    """The object of a polygon x, y, x, y, ... in px."""
    xs, ys = points[::2], points[1::2]
    return Box(name, (min(xs), min(ys), max(xs), max(ys)), tuple(map(float, points)))


def corner_box(name: str, x1: float, y1: float, x2: float, y2: float) -> Box:
    """A box between two opposite corners, in any order."""
    return Box(name, (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)))


def image_size(path: Path) -> tuple[int, int]:
    """Width and height, px, as the image is shown; only the head of the file is read.

    Raises:
        AnnotationError: the file is no image.
        BrokenImageError: there is no such file.
    """
    size = header_size(str(path), rotating=True)
    if size is None:
        raise AnnotationError(f'{path} cannot be read as an image')
    return size


def image_files(folder: Path) -> list[str]:
    """Image files in a folder and those below, relative to it, sorted."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.suffix.lower() in IMAGE_ENDINGS)


class ImageFinder:
    """Finds the image files that annotations name.

    Args:
        folder: of the images.

    Raises:
        AnnotationError: there is no such folder, or no image in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise AnnotationError(f'there is no folder of images {folder}')
        self.files = image_files(folder)
        if not self.files:
            raise AnnotationError(f'{folder} has no images ({", ".join(IMAGE_ENDINGS)})')
        self.missing: list[str] = []
        self._by_path = {file: file for file in self.files}
        self._by_name: dict[str, str] = {}
        self._by_stem: dict[str, str] = {}
        for file in reversed(self.files):  # the first of several counts
            self._by_name[Path(file).name] = self._by_stem[Path(file).stem] = file

    def find(self, *names: str) -> str | None:
        """The file of one of these paths, names or stems, in any sub-folder; None, and noted, where there is none."""
        for name in names:
            path = Path(name.replace('\\', '/'))  # files written on Windows have its separators
            for key, files in (
                (path.as_posix(), self._by_path),
                (path.name, self._by_name),
                (path.stem, self._by_stem),
                (path.name, self._by_stem),  # a stem with dots
            ):
                if key in files:
                    return files[key]
        self.missing.append(names[0])
        return None

    def size(self, file: str) -> tuple[int, int]:
        """Width and height of an image file, px."""
        return image_size(self.folder / file)


def class_names(images: Iterable[AnnotatedImage]) -> list[str]:
    """Names of all objects, sorted."""
    return sorted({box.name for image in images for box in image.boxes})


def to_coco(images: Sequence[AnnotatedImage], names: Sequence[str]) -> dict[str, Any]:
    """Content of a COCO file; ids count from 1. Boxes are cut off at the image, those without area are left out.

    Args:
        images: with boxes of these names.
        names: of the categories, in order.
    """
    ids = {name: i for i, name in enumerate(names, 1)}
    annotations: list[dict[str, Any]] = []
    for img_id, image in enumerate(images, 1):
        for box in image.boxes:
            x1, x2 = (min(max(x, 0.0), image.width) for x in box.xyxy[::2])
            y1, y2 = (min(max(y, 0.0), image.height) for y in box.xyxy[1::2])
            if x2 <= x1 or y2 <= y1:
                continue
            polygon = box.polygon or (x1, y1, x1, y2, x2, y2, x2, y1)
            xywh = [round(float(value), 3) for value in (x1, y1, x2 - x1, y2 - y1)]
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=img_id,
                    category_id=ids[box.name],
                    bbox=xywh,
                    area=round(xywh[2] * xywh[3], 3),
                    segmentation=[[round(float(value), 3) for value in polygon]],
                    iscrowd=int(box.difficult),
                )
            )
    entries = [
        dict(id=i, file_name=image.file_name, width=image.width, height=image.height)
        for i, image in enumerate(images, 1)
    ]
    categories = [dict(id=i, name=name, supercategory='none') for name, i in ids.items()]
    return dict(info={}, images=entries, annotations=annotations, categories=categories)
