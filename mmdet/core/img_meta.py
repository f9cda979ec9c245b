"""What is known of an image beside its pixels: the entries of ``img_metas``."""

from typing import Any, TypedDict


class ImgMeta(TypedDict, total=False):
    """Meta information of one image, as ``Collect`` puts it together from what the pipeline noted.

    Further keys are allowed: the fields of ``AddFieldToImgMetas``, among them what an image says of its own training,
    and those of a user's own.
    """

    filename: str
    ori_filename: str
    ori_shape: tuple[int, ...]  # (h, w, c) of the file
    img_shape: tuple[int, ...]  # (h, w, c) of the image in the network's input
    pad_shape: tuple[int, ...]  # (h, w, c) with the padding of its pipeline
    batch_input_shape: tuple[int, int]  # (h, w) of the batch
    scale_factor: Any  # network's input / original image, for x1, y1, x2, y2
    flip: bool
    flip_direction: str | None
    img_norm_cfg: dict[str, Any]
    source: str  # name of the data set in a mixture
