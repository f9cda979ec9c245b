"""What is predicted on: an image, a folder, a list file, a video, a camera."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import cv2
import numpy as np

from mmdet.apis.image_input import IMAGE_SUFFIXES, VIDEO_SUFFIXES, ImageSourceError, check_image_file, images_below

LIST_SUFFIXES = ('.txt', '.lst')
DEFAULT_FPS = 25.0  # of a stream that does not say


class Item(NamedTuple):
    """One image of a source."""

    name: str  # under which outputs keep it: below the source's root, with forward slashes
    image: Path | np.ndarray  # a file, or a frame (H, W, 3) BGR


class Source(NamedTuple):
    """Images one after the other."""

    items: Callable[[], Iterator[Item]]
    length: int | None  # how many; None: a camera, or a stream that does not say
    root: Path | None  # folder of the files; None for frames
    fps: float | None = None  # of a video or camera; None for images
    title: str = ''  # of a video or camera: the name that its outputs keep
    video: Path | None = None  # the file, if it is a video


def open_source(text: str, skip: Path | None = None, max_frames: int | None = None, step: int = 1) -> Source:
    """The source that a word of a command line names.

    Args:
        text: an image, a folder (with its sub-folders), a ``.txt`` with one image a line (relative to its folder or to
            the current one), a video or the address of a stream, or the number of a camera.
        skip: folder of outputs; where it lies inside the source, its images are those of an earlier run, and left out.
        max_frames: end a video or camera after so many frames.
        step: take each so-manieth frame only.

    Raises:
        ImageSourceError: there is no such file, no image, no frame.
    """
    path = Path(text)
    if text.isdigit() and not path.exists():
        return _frames(int(text), f'camera{text}', max_frames, step)
    if '://' in text or path.suffix.lower() in VIDEO_SUFFIXES:
        if '://' not in text and not path.is_file():
            raise ImageSourceError(f'video file not found: {text}')
        stem = PurePosixPath(text.partition('://')[2] or path.as_posix()).stem
        return _frames(text, stem or 'stream', max_frames, step)
    if path.is_dir():
        if skip is None or not skip.absolute().is_relative_to(path.absolute()) or skip.absolute() == path.absolute():
            return _files(images_below(path), path)
        _check_own_pictures(skip)
        return _files(images_below(path, skip), path)
    if not path.exists():
        raise ImageSourceError(
            f'there is no {text}; expected an image, a folder, a list (.txt), a video, or the number of a camera'
        )
    if path.suffix.lower() in LIST_SUFFIXES:
        return _listed(path)
    check_image_file(path)
    return _files([path], path.parent)


def _check_own_pictures(folder: Path) -> None:
    """Refuse a folder for outputs, inside the source, whose images are not all outputs of an earlier run.

    Raises:
        ImageSourceError: there are others, which would be left out.
    """
    note = folder / 'images.json'
    noted = {image['file_name'] for image in json.loads(note.read_text())['images']} if note.is_file() else set()
    found = [path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.suffix.lower() in IMAGE_SUFFIXES]
    others = sorted(set(found) - noted)
    if others:
        raise ImageSourceError(
            f'{folder} is for outputs, lies inside the source, and has images that no earlier run has noted in {note} '
            f'({len(others)}, such as {others[0]}): they would be left out. Give another folder, or remove them'
        )


def _files(paths: list[Path], root: Path) -> Source:
    names = [path.relative_to(root).as_posix() for path in paths]
    return Source(lambda: (Item(name, path) for name, path in zip(names, paths)), len(paths), root)


def _listed(path: Path) -> Source:
    """Images of a list; names are relative to the innermost folder that holds them all."""
    try:
        text = path.read_text(encoding='utf-8-sig')  # editors of Windows begin files with a mark
    except UnicodeDecodeError as error:
        raise ImageSourceError(f'{path} is no text in UTF-8: {error}') from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith('#')]
    if not lines:
        raise ImageSourceError(f'{path} lists no image; it takes one a line')
    files = [file if (file := path.parent / line).exists() else Path(line) for line in lines]
    files = [Path(os.path.abspath(file)) for file in files]
    # files of other drives have no folder in common
    drives = {PureWindowsPath(file).drive for file in files}
    root = Path(os.path.commonpath([file.parent for file in files])) if len(drives) == 1 else Path(files[0].anchor)
    return _files(files, root)


def _frames(address: str | int, name: str, max_frames: int | None, step: int) -> Source:
    """Frames of a video, a stream or a camera, called NAME/000001.jpg and so on by their numbers."""
    capture = cv2.VideoCapture(address)
    if not capture.isOpened():
        what = f'camera {address} is not there' if isinstance(address, int) else f'{address} cannot be read as a video'
        raise ImageSourceError(f'{what} (OpenCV does not open it)')
    total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    fps = capture.get(cv2.CAP_PROP_FPS) or DEFAULT_FPS
    count = -(-total // step) if total > 0 else max_frames
    if count is not None and max_frames is not None:
        count = min(count, max_frames)

    def items() -> Iterator[Item]:
        number = taken = 0
        try:
            while max_frames is None or taken < max_frames:
                read, frame = capture.read()
                if not read:
                    break
                number += 1
                if (number - 1) % step == 0:
                    taken += 1
                    yield Item(f'{name}/{number:06d}.jpg', frame)
        finally:
            capture.release()
        if not number:
            raise ImageSourceError(f'{address} has no frame that can be read')

    video = Path(address) if isinstance(address, str) and '://' not in address else None
    return Source(items, count, None, fps / step, name, video)
