"""The image files that annotations name, and what of the annotations is left out."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path, PurePosixPath

from mmdet.apis.configuring.annotations import AnnotationError
from mmdet.datasets.audit.annotation_rules import format_list
from mmdet.datasets.audit.files import header_size

IMAGE_ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')


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


def files_with(folder: Path, *endings: str) -> list[Path]:
    """Files in a folder and those below with one of these endings, in upper or lower case, sorted."""
    return sorted(path for path in folder.rglob('*') if path.suffix.lower() in endings)


def image_files(folder: Path) -> list[str]:
    """Image files in a folder and those below, relative to it, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in files_with(folder, *IMAGE_ENDINGS))


class ImageFinder:
    """Finds the image files that annotations name.

    Args:
        folder: of the images.
        files: those that count, relative to it; default: all in it and below.

    Attributes:
        missing: names without a file.
        left_out: what of the annotations was not read -> how often.
        remarks: what a reader took for granted.

    Raises:
        AnnotationError: there is no such folder, or no image in it.
    """

    def __init__(self, folder: Path, files: Sequence[str] | None = None) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise AnnotationError(f'there is no folder of images {folder}')
        self.files = image_files(folder) if files is None else list(files)
        if not self.files:
            raise AnnotationError(f'{folder} has no images ({", ".join(IMAGE_ENDINGS)})')
        self.missing: list[str] = []
        self.left_out: Counter[str] = Counter()
        self.remarks: list[str] = []
        self._by_path: dict[str, list[str]] = defaultdict(list)  # with and without ending
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            path = _path_of(file)
            for key in {path.as_posix(), path.with_suffix('').as_posix()}:
                self._by_path[key].append(file)
            for key in {path.name, path.stem}:
                self._by_name[key].append(file)

    def find(self, *names: str, beside: str = '') -> str | None:
        """The file of one of these paths, names or stems; None, and noted, where there is none.

        Args:
            *names: the first that fits counts.
            beside: folder of the annotations below theirs, where files are looked for first; then in all others.

        Raises:
            AnnotationError: they fit several files equally well.
        """
        several: list[str] = []
        for name in filter(None, names):
            found = self._files_of(_path_of(name), beside)
            if len(found) == 1:
                return found[0]
            several = several or found
        if several:
            raise AnnotationError(
                f'{names[0]!r} may be any of {format_list(several)} in {self.folder}; give the folder that has '
                'the right one alone (--images), or other names'
            )
        self.missing.append(names[0] or 'an image without a name')
        return None

    def _files_of(self, path: PurePosixPath, beside: str) -> list[str]:
        near = _path_of(beside) / path
        for key in (near, path, near.with_suffix('')):
            if self._by_path.get(key.as_posix()):
                return self._by_path[key.as_posix()]
        found = self._by_name.get(path.name) or self._by_name.get(path.stem) or []
        common = [_common_folders(_path_of(file), path) for file in found]
        return [file for file, count in zip(found, common) if count == max(common)]

    def size(self, file: str) -> tuple[int, int]:
        """Width and height of an image file, px."""
        return image_size(self.folder / file)


def _path_of(name: str) -> PurePosixPath:
    """A path as files written on Windows have it too, its letters composed as most systems do."""
    return PurePosixPath(unicodedata.normalize('NFC', name.replace('\\', '/')))


def _common_folders(first: PurePosixPath, second: PurePosixPath) -> int:
    """Number of the last folders that two paths share."""
    pairs = zip(first.parts[-2::-1], second.parts[-2::-1])
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
