"""pycocotools' ``COCO`` with the snake-case names that the data sets use, quiet, and with errors that name the file."""

import contextlib
import io
from collections.abc import Generator, Sequence
from typing import Any, TextIO

from pycocotools.coco import COCO as _COCO
from pycocotools.cocoeval import COCOeval

from mmdet.datasets.formats.coco_fields import read_fields, read_json
from mmdet.utils.running.progress import ticks


class COCO(_COCO):
    """An annotation file in COCO's format, indexed by image and by category.

    Args:
        annotation_file: path of the JSON file; None for an empty index.

    Attributes:
        img_ann_map: image id -> its annotations, in the file's order.
        cat_img_map: category id -> ids of the images that have it, one entry an annotation.

    Raises:
        ValueError: the file is no JSON, is no mapping, or its entries are not as the format asks.
    """

    PANOPTIC = False  # whether annotations are entries of images with a list of segments

    def __init__(self, annotation_file: str | None = None):
        super().__init__()
        if annotation_file is not None:
            self.dataset = read_json(annotation_file)
            read_fields(self.dataset, annotation_file, self.PANOPTIC)
            self.build_index()
        self._name_maps()

    def _name_maps(self) -> None:
        self.img_ann_map = self.imgToAnns
        self.cat_img_map = self.catToImgs

    def build_index(self) -> None:
        """Index ``dataset`` anew, after it was set."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.createIndex()
        self._name_maps()

    def get_ann_ids(
        self,
        img_ids: Sequence[int] | int = (),
        cat_ids: Sequence[int] | int = (),
        area_rng: Sequence[float] = (),
        iscrowd: bool | None = None,
    ) -> list[int]:
        """Ids of the annotations that pass all the filters; an empty filter lets everything pass."""
        return self.getAnnIds(img_ids, cat_ids, area_rng, iscrowd)

    def get_cat_ids(
        self,
        cat_names: Sequence[str] | str = (),
        sup_names: Sequence[str] | str = (),
        cat_ids: Sequence[int] | int = (),
    ) -> list[int]:
        """Ids of the categories that pass all the filters, in the file's order."""
        return self.getCatIds(cat_names, sup_names, cat_ids)

    def get_img_ids(self, img_ids: Sequence[int] | int = (), cat_ids: Sequence[int] | int = ()) -> list[int]:
        """Ids of the images that are among ``img_ids`` and have all of ``cat_ids``."""
        return list(self.getImgIds(img_ids, cat_ids))

    def load_anns(self, ids: Sequence[int] | int) -> list[dict]:
        """Annotations by id."""
        return self.loadAnns(ids)

    def load_cats(self, ids: Sequence[int] | int) -> list[dict]:
        """Categories by id."""
        return self.loadCats(ids)

    def load_imgs(self, ids: Sequence[int] | int) -> list[dict]:
        """Image entries by id."""
        return self.loadImgs(ids)


class TrackedCOCOeval(COCOeval):
    """pycocotools' evaluation with a progress bar on a terminal."""

    def track(self, what: str, file: TextIO) -> None:
        """Count the images of all categories and areas from now on, if ``file`` is a terminal."""
        if file.isatty():
            categories = len(self.params.catIds) if self.params.useCats else 1
            total = categories * len(self.params.areaRng) * len(self.params.imgIds)
            self._ticks = ticks(what, total, file)

    _ticks: Generator[int, None, None] | None = None

    def evaluate(self) -> None:
        """As the parent's."""
        super().evaluate()
        if self._ticks is not None:
            self._ticks.close()

    def evaluateImg(self, imgId: Any, catId: Any, aRng: Any, maxDet: Any) -> Any:
        """As the parent's."""
        if self._ticks is not None:
            next(self._ticks)
        return super().evaluateImg(imgId, catId, aRng, maxDet)


__all__ = ['COCO', 'COCOeval', 'TrackedCOCOeval']
