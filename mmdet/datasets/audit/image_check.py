"""Whether an image file can be read the way training reads it."""

from collections.abc import Mapping
from typing import Any

from mmdet.datasets.audit.broken_images import BrokenImageError
from mmdet.datasets.pipelines.compose import Compose
from mmdet.datasets.pipelines.image_loading import LoadImageFromFile


def find_loader(pipeline: Compose) -> LoadImageFromFile | None:
    """The step of a pipeline that reads image files; None if images come from elsewhere.

    A subclass that reads in a way of its own (several frames at once, other files) is not asked.
    """
    loaders = [step for step in pipeline.transforms if isinstance(step, LoadImageFromFile)]
    return next((step for step in loaders if type(step).__call__ is LoadImageFromFile.__call__), None)


def read_image_size(loader: LoadImageFromFile, info: Mapping[str, Any], prefix: str | None) -> tuple[int, int]:
    """Read an image as training does.

    Args:
        loader: the pipeline's own step, so that file client and colour type are the same.
        info: entry of the image, with ``filename``.
        prefix: folder of the images.

    Returns:
        Width and height, px.

    Raises:
        BrokenImageError: the file is missing, or cannot be decoded.
    """
    # without the size that is stated: who asks compares it
    return load_image(loader, dict(filename=info['filename']), prefix)


def load_image(loader: LoadImageFromFile, info: Mapping[str, Any], prefix: str | None) -> tuple[int, int]:
    """As :func:`read_image_size`; an image of another size than its entry states is broken too."""
    try:
        height, width = loader(dict(img_info=info, img_prefix=prefix))['img'].shape[:2]
    except BrokenImageError:
        raise
    except OSError as err:
        raise BrokenImageError(str(err)) from err
    return width, height


def fault_of_file(
    loader: LoadImageFromFile | None, info: Mapping[str, Any], prefix: str | None
) -> BrokenImageError | None:
    """Why an image file cannot be read; None if it can, or if images are no files; arguments as above."""
    try:
        if loader is not None:
            read_image_size(loader, info, prefix)
    except BrokenImageError as err:
        return err
    return None
