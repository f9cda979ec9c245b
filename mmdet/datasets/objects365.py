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

    Images lie in a folder for each patch (``patch0/objects365_v1_00000001.jpg``). Those of ``BROKEN_IMAGES``, which
    the published archives have with broken files, are left out.
    """

    BROKEN_IMAGES = frozenset(
        (
            'patch16/objects365_v2_00908726.jpg',
            'patch6/objects365_v1_00320532.jpg',
            'patch6/objects365_v1_00320534.jpg',
        )
    )

    CLASSES = class_lists.OBJECTS365V2
    PALETTE = None

    def _image_entry(self, img_id: int) -> dict:
        info = super()._image_entry(img_id)
        # the file names begin with folders of the data set's own storage
        info['filename'] = osp.join(*info['file_name'].split('/')[-2:])
        return info

    def load_annotations(self, ann_file: str) -> list[dict]:
        """Read the annotation file: the entries of the images, but for the broken ones."""
        infos = super().load_annotations(ann_file)
        kept = [i for i, info in enumerate(infos) if info['filename'].replace(osp.sep, '/') not in self.BROKEN_IMAGES]
        self.img_ids = [self.img_ids[i] for i in kept]
        return [infos[i] for i in kept]
