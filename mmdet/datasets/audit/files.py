"""The audit's look at image files: some are read as training reads them, of others the headers."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from mmdet.datasets.audit.annotation_rules import format_list
from mmdet.datasets.audit.broken_images import BROKEN, BrokenImageError, check_regular, join_prefix
from mmdet.datasets.audit.image_check import find_loader, load_image, read_image_size
from mmdet.datasets.pipelines.image_loading import IGNORE_ROTATION, LoadImageFromFile
from mmdet.utils.running.progress import tracked

_LOGGER = logging.getLogger('mmdet')
SAMPLES = 32  # images that are read whole where nothing else is asked for
THREADS = 16  # that read headers; they wait for disks, not for processors
HEADERS = 'headers of the image files'  # over the bar
ORIENTATION = 274  # tag of EXIF
TURNED = (5, 6, 7, 8)  # its values for images whose width and height are exchanged
# ways to read an image that follow its orientation
ROTATING = ('color', 'grayscale')

ReadSize = Callable[[Mapping], tuple[int, int]]  # entry of an image -> width and height px; or BrokenImageError


def check_image_files(dataset: Any, sample_files: int | None) -> list[str]:
    """Files of a data set that are missing, cannot be read, or have another size than the annotations say.

    Args:
        dataset: with ``pipeline``, ``data_infos`` and ``img_prefix``.
        sample_files: how many images are read whole; None: 32, and of files on local disks the headers of all.
    """
    loader = find_loader(dataset.pipeline)
    if loader is None:
        return []
    infos, prefix = dataset.data_infos, dataset.img_prefix

    def read(info: Mapping) -> tuple[int, int]:
        return read_image_size(loader, info, prefix)

    samples = choose_samples(len(infos), SAMPLES if sample_files is None else sample_files)
    problems = check_sizes([infos[i] for i in samples], map_sizes(read, [infos[i] for i in samples]))
    if problems or sample_files is not None or not has_local_files(loader):
        return problems

    def read_head(info: Mapping) -> tuple[int, int]:
        size = header_size(join_prefix(prefix, info['filename']), loader.color_type in ROTATING)
        return read(info) if size is None else size

    with ThreadPoolExecutor(THREADS) as threads:
        return check_sizes(infos, tracked(threads.map(_or_error(read_head), infos), HEADERS, len(infos)))


def readable_images(dataset: Any) -> list[int]:
    """Numbers of the images that can be read as the pipeline does it; the others are named in the log, and counted.

    All images are read, by several threads.

    Args:
        dataset: with ``pipeline``, ``data_infos``, ``img_prefix``, and ``filtered``, which gets the count.
    """
    loader, infos = find_loader(dataset.pipeline), dataset.data_infos
    if loader is None:
        return list(range(len(infos)))
    read = _or_error(partial(load_image, loader, prefix=dataset.img_prefix))
    with ThreadPoolExecutor(THREADS) as threads:
        sizes = list(tracked(threads.map(read, infos), 'reading all images', len(infos)))
    faults = [str(size) for size in sizes if isinstance(size, BrokenImageError)]
    if faults:
        dataset.filtered[BROKEN] += len(faults)
        _LOGGER.warning('skip_broken: %d of %d images are left out: %s', len(faults), len(infos), '; '.join(faults))
    return [number for number, size in enumerate(sizes) if not isinstance(size, BrokenImageError)]


def has_local_files(loader: LoadImageFromFile) -> bool:
    """Whether a step reads plain files of this machine's disks."""
    return type(loader) is LoadImageFromFile and loader.file_client_args.get('backend') == 'disk'


def header_size(path: str, rotating: bool) -> tuple[int, int] | None:
    """Width and height of an image, px, from the beginning of its file; None where that does not say it.

    Args:
        path: of the file.
        rotating: follow the orientation that is stored in the file.

    Raises:
        BrokenImageError: there is no such file, or it is none of bytes on a disk.
    """
    try:
        check_regular(path)
        with Image.open(path) as image:
            turned = rotating and image.getexif().get(ORIENTATION) in TURNED
            return image.size[::-1] if turned else image.size
    except FileNotFoundError as err:
        raise BrokenImageError(f'image file not found: {path}') from err
    except BrokenImageError:
        raise
    except Exception:  # formats that only OpenCV knows, and files that are broken: who reads them whole says what it is
        return None


def _or_error(read: ReadSize) -> Callable[[Mapping], tuple[int, int] | BrokenImageError]:
    def safely(info: Mapping) -> tuple[int, int] | BrokenImageError:
        try:
            return read(info)
        except BrokenImageError as err:
            return err

    return safely


def map_sizes(read: ReadSize, infos: Iterable[Mapping]) -> Iterable[tuple[int, int] | BrokenImageError]:
    """The size of each image, or why it cannot be read."""
    return map(_or_error(read), infos)


def choose_samples(total: int, limit: int) -> list[int]:
    """Numbers of at most ``limit`` images, evenly spread from the first to the last."""
    return sorted({round(i) for i in np.linspace(0, total - 1, min(limit, total))}) if total and limit > 0 else []


def check_sizes(infos: Sequence[Mapping], sizes: Iterable[tuple[int, int] | BrokenImageError]) -> list[str]:
    """Compare sizes (w, h) px with those that the entries of the images state, if they do.

    Args:
        infos: entries of the images, with ``filename``, and ``width`` and ``height`` px.
        sizes: of each, or why it could not be read.
    """
    broken, wrong_size = [], []
    for info, size in zip(infos, sizes):
        if isinstance(size, BrokenImageError):
            broken.append(str(size))
        elif 'width' in info and tuple(size) != (info['width'], info['height']):
            wrong_size.append(f'{info["filename"]} ({info["width"]}x{info["height"]} stated, {size[0]}x{size[1]} read)')
    problems = []
    if broken:
        problems.append(
            f'{len(broken)} of {len(infos)} images looked at cannot be read: {format_list(broken)}. '
            'Check img_prefix and data_root, or mend the files; skip_broken=True in the data set goes on without them '
            '(tools/test.py --skip-broken).'
        )
    if wrong_size:
        problems.append(
            f'{len(wrong_size)} of {len(infos)} images looked at have another size than the annotations say: '
            f'{format_list(wrong_size)}. Boxes would not fit them; with width and height swapped, a rotation is '
            f'stored in the file: {IGNORE_ROTATION} leaves it aside.'
        )
    return problems
