"""Detections of many images: in batches, in tiles, with test-time augmentation; broken files are passed over."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from mmdet.apis.image_input import ImagePipeline, ImageSourceError, as_bgr
from mmdet.apis.inference import detect
from mmdet.apis.prediction.augmentation import AugmentationError, with_augmentation
from mmdet.apis.prediction.detections import Detections, flatten_result, like_result
from mmdet.apis.prediction.sources import Item
from mmdet.apis.prediction.tiles import Tiling, TilingError, Window, merge_tiles, tile_windows
from mmdet.core.visualization.reading import pipeline_of
from mmdet.datasets.audit.broken_images import BrokenImageError
from mmdet.models.detectors.rpn import RPN

BROKEN = (BrokenImageError, FileNotFoundError, ImageSourceError)


class Prediction(NamedTuple):
    """What was found in one image, or why it could not be read."""

    item: Item
    size_wh: tuple[int, int] = (0, 0)  # px
    detections: Detections | None = None  # None: the image is broken
    result: Any = None  # in the form of the detector
    error: Exception | None = None


class Predictor:
    """Runs a detector over images.

    Args:
        model: from :func:`mmdet.apis.init_detector`.
        score_thr: lowest score.
        batch_size: images (or tiles) that go through the model together. Augmented ones go one by one.
        tiling: cut images that are larger than a tile.
        augmentation: factors of scale for test-time augmentation, to which flips are added; None: none.

    Raises:
        TilingError, AugmentationError: one of the last two makes no sense.
    """

    def __init__(
        self,
        model: nn.Module,
        score_thr: float = 0.3,
        batch_size: int = 1,
        tiling: Tiling | None = None,
        augmentation: Sequence[float] | None = None,
    ) -> None:
        steps = pipeline_of(model.cfg)
        if augmentation is not None:
            steps, batch_size = with_augmentation(steps, augmentation), 1
        names: Any = ['object'] if isinstance(model, RPN) else model.CLASSES
        self.model: Any = model
        self.classes = list(names)
        self.score_thr = score_thr
        self.batch_size = batch_size
        self.tiling = None if tiling is None else tiling.check()
        self._pipeline = ImagePipeline(steps)

    def __call__(self, items: Iterable[Item]) -> Iterator[Prediction]:
        """Predictions in the order of the items."""
        yield from self._tiled(items) if self.tiling else self._batched(items)

    def draw(self, prediction: Prediction, palette: Any = None) -> np.ndarray:
        """The image with its detections on it, (H, W, 3) uint8 BGR."""
        image = prediction.item.image
        image = as_bgr(image) if isinstance(image, np.ndarray) else image
        return self.model.show_result(
            image,
            prediction.result,
            score_thr=0.0,  # those below the threshold are gone
            bbox_color=palette,
            text_color=(200, 200, 200),
            mask_color=palette,
        )

    def _batched(self, items: Iterable[Item]) -> Iterator[Prediction]:
        waiting: list[Prediction] = []
        samples: list[dict[str, Any]] = []
        for item in items:
            try:
                samples.append(self._pipeline.sample(item.image))
                waiting.append(Prediction(item, _size_of(samples[-1])))
            except BROKEN as error:
                waiting.append(Prediction(item, error=error))
            if len(samples) == self.batch_size or not samples:
                yield from self._finished(waiting, samples)
                waiting, samples = [], []
        yield from self._finished(waiting, samples)

    def _finished(self, waiting: list[Prediction], samples: list[dict[str, Any]]) -> Iterator[Prediction]:
        """The images that wait, each with its detections."""
        results = iter(self._detect(samples))
        for prediction in waiting:
            yield prediction if prediction.error else self._with_result(prediction, next(results))

    def _detect(self, samples: Sequence[dict[str, Any]]) -> list[Any]:
        """Results of a batch.

        Raises:
            AugmentationError: the detector cannot merge several views of an image.
        """
        try:
            return detect(self.model, samples)
        except NotImplementedError as error:
            raise AugmentationError(f'{type(self.model).__name__}: {error}') from error

    def _with_result(self, prediction: Prediction, result: Any) -> Prediction:
        found = flatten_result(result, self.score_thr, len(self.classes))
        return prediction._replace(detections=found, result=like_result(found, result))

    def _tiled(self, items: Iterable[Item]) -> Iterator[Prediction]:
        for item in items:
            try:
                pixels = self._pipeline.pixels(item.image)
            except BROKEN as error:
                yield Prediction(item, error=error)
                continue
            yield self._of_tiles(item, pixels)

    def _of_tiles(self, item: Item, pixels: np.ndarray) -> Prediction:
        """The merged detections of an image's tiles."""
        tiling: Any = self.tiling
        size_wh = (pixels.shape[1], pixels.shape[0])
        windows = tile_windows(*size_wh, tiling)
        results = list(self._of_windows(pixels, windows))
        if isinstance(results[0], dict):
            raise TilingError('the panoptic maps of tiles cannot be merged; leave --tile out')
        parts = [flatten_result(result, self.score_thr) for result in results]
        merged = merge_tiles(parts, windows, size_wh, tiling.iou_thr)
        return Prediction(item, size_wh, merged, like_result(merged, results[0]))

    def _of_windows(self, pixels: np.ndarray, windows: Sequence[Window]) -> Iterator[Any]:
        # the whole image goes alone: beside it tiles would be padded to its shape
        starts = [0, *range(1, len(windows), self.batch_size), len(windows)]
        for start, end in zip(starts, starts[1:]):
            batch = [pixels[w.y1 : w.y2, w.x1 : w.x2] for w in windows[start:end]]
            yield from self._detect([self._pipeline.sample_of_pixels(np.ascontiguousarray(p)) for p in batch])


def _size_of(sample: dict[str, Any]) -> tuple[int, int]:
    """Width and height of the image that a sample was made of."""
    meta = sample['img_metas']
    meta = meta[0] if isinstance(meta, list) else meta
    height, width = meta.data['ori_shape'][:2]
    return width, height


def file_of(item: Item) -> Path | None:
    """Where an image lies; None for frames."""
    return None if isinstance(item.image, np.ndarray) else item.image
