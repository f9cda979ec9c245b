"""Objects365, both versions."""

import os.path as osp

from mmdet.core.evaluation import class_lists
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.registry import DATASETS


class _Objects365(CocoDataset):
    """What both versions share: the files list their categories in no order; ``CLASSES`` is in the order of the ids."""

    def _set_categories(self) -> None:
        self.coco.dataset['categories'].sort(key=lambda cat: cat['id'])
        super()._set_categories()


@DATASETS.register_module()
class Objects365V1Dataset(_Objects365):
    """Objects365, first version; arguments are those of :class:`CocoDataset`."""

    CLASSES = class_lists.OBJECTS365V1
    PALETTE = None


@DATASETS.register_module()
class Objects365V2Dataset(_Objects365):
    """Objects365, second version; arguments are those of :class:`CocoDataset`.

    Images lie in a folder for each patch (``patch0/objects365_v1_00000001.jpg``).
    """

    CLASSES = class_lists.OBJECTS365V2
    PALETTE = None

    def _image_entry(self, img_id: int) -> dict:
        info = super()._image_entry(img_id)
        # the file names begin with folders of the data set's own storage
        info['filename'] = osp.join(*info['file_name'].split('/')[-2:])
        return info
