"""What detectors are given as images: paths and arrays, on their way into the test pipeline of a config."""

import os
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmdet.datasets.pipelines.compose import Compose, build_step
from mmdet.datasets.utils import replace_ImageToTensor
from mmdet.utils.errors import ReportedError

Image = str | os.PathLike[str] | np.ndarray
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.mpg', '.mpeg', '.m4v', '.wmv', '.flv')
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
# steps whose colours are known, so that arrays can be brought into them
_PLAIN_LOADING = ('LoadImageFromFile', 'LoadImageFromWebcam')


class ImageSourceError(ReportedError, ValueError):
    """What was given as an image is none."""


def images_below(folder: str | os.PathLike[str], except_below: Path | None = None) -> list[Path]:
    """The images of a folder and its sub-folders, in the order of their names.

    Args:
        folder: where to look.
        except_below: a folder that is left out, such as the one for pictures of an earlier run.

    Raises:
        ImageSourceError: there is no image.
    """
    files = (path for path in Path(folder).rglob('*') if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    hidden = None if except_below is None else except_below.absolute()
    images = sorted(path for path in files if hidden is None or not path.absolute().is_relative_to(hidden))
    if not images:
        raise ImageSourceError(f'{folder} has no image in it; images end in {", ".join(IMAGE_SUFFIXES)}')
    return images


def check_image_file(path: Path) -> None:
    """Refuse what cannot be read as an image; a pipe or a device would be waited for without end.

    Raises:
        FileNotFoundError, ImageSourceError: there is no such file, or it is a folder, a video or no file at all.
    """
    if not path.exists():
        raise FileNotFoundError(f'image file not found: {path}')
    if path.is_dir():
        raise ImageSourceError(f'{path} is a folder among images; give it alone, or its images')
    if not path.is_file():
        raise ImageSourceError(f'{path} is no regular file')
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise ImageSourceError(
            f'{path} is a video; tools/predict.py takes it, inference_detector its frames as arrays (mmcv.VideoReader)'
        )


def as_bgr(image: np.ndarray) -> np.ndarray:
    """An array as BGR, as the same image comes from a file.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA. Of 16 bits the upper 8 are taken, as OpenCV does;
            other integers must be 0 to 255; floats are taken to be 0 to 255 too.

    Returns:
        (H, W, 3) uint8, or the floats that were given.

    Raises:
        ImageSourceError: another shape, no pixels, or another kind of numbers.
    """
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4) or not image.size:
        raise ImageSourceError(
            f'an image of shape {image.shape}; expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), blue first'
        )
    image = _eight_bits(image)
    if channels == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(image[..., :3])


def _eight_bits(image: np.ndarray) -> np.ndarray:
    """Pixels of 0 to 255."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    if image.dtype.kind == 'f':
        if 0 < np.nanmax(image) <= 1:
            warnings.warn('an image of floats up to 1 is nearly black: pixels count from 0 to 255', stacklevel=3)
        return image
    if image.dtype.kind in 'iu' and image.min() >= 0 and image.max() <= 255:
        return image.astype(np.uint8)
    raise ImageSourceError(f'an image of {image.dtype}; expected uint8, uint16, or numbers from 0 to 255')


class ImagePipeline:
    """Samples for a detector from single images, by the test pipeline of its config.

    Args:
        steps: of the pipeline, the first of which loads the image.
    """

    def __init__(self, steps: list[dict[str, Any]]) -> None:
        steps = replace_ImageToTensor(steps)
        self.loading = steps[0]
        self._of_file = Compose(steps)
        self._rest = steps[1:]

    def sample(self, image: Image) -> dict[str, Any]:
        """The sample of a path or of an array as :func:`as_bgr` takes it.

        Raises:
            FileNotFoundError, ImageSourceError, BrokenImageError: it is no image; see :func:`check_image_file`.
        """
        if isinstance(image, np.ndarray):
            return self.sample_of_pixels(self._coloured(image))
        return _taken(self._of_file(self._found(image)), image)

    def pixels(self, image: Image) -> np.ndarray:
        """The image as the loading step gives it; errors as of :meth:`sample`."""
        if isinstance(image, np.ndarray):
            return self._coloured(image)
        return _taken(build_step(self.loading)(self._found(image)), image)['img']

    def sample_of_pixels(self, pixels: np.ndarray) -> dict[str, Any]:
        """The sample of what :meth:`pixels` gave, or of a part of it."""
        return _taken(self._of_array(dict(img=pixels)), 'array')

    @cached_property
    def _of_array(self) -> Compose:
        # made when it is needed: a loading step of the user's own may have arguments that this one does not know
        return Compose([dict(self.loading, type='LoadImageFromWebcam'), *self._rest])

    def _found(self, image: str | os.PathLike[str]) -> dict[str, Any]:
        """What the loading step starts from."""
        if not isinstance(image, (str, os.PathLike)):
            raise ImageSourceError(f'expected a path or an array (H, W, 3) as an image, got {type(image).__name__}')
        path = os.fspath(image)
        if '://' not in path:
            check_image_file(Path(path))
        return dict(img_info=dict(filename=path), img_prefix=None)

    def _coloured(self, image: np.ndarray) -> np.ndarray:
        """An array in the colours that the loading step gives; as it is where that is not a matter of colours."""
        colours = self.loading.get('color_type', 'color').startswith('color')
        if self.loading['type'] not in _PLAIN_LOADING or not colours:
            return image
        image = as_bgr(image)
        return image[..., ::-1] if self.loading.get('channel_order', 'bgr') == 'rgb' else image


def _taken(sample: dict[str, Any] | None, image: Any) -> dict[str, Any]:
    """What a pipeline made of an image, unless it has refused it."""
    if sample is None:
        raise ImageSourceError(f'{image}: a step of the test pipeline refuses this image')
    return sample
