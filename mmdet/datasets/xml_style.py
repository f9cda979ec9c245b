"""Data sets annotated by one XML file an image, as PASCAL VOC is."""

import os.path as osp

import mmcv
import numpy as np
from PIL import Image

from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.formats.voc_xml import VocImage, parse_voc_xml
from mmdet.datasets.mixing.label_spaces import labels_of_names
from mmdet.datasets.registry import DATASETS
from mmdet.utils.running.progress import tracked


@DATASETS.register_module()
class XMLDataset(CustomDataset):
    """Images with an XML file each; ``ann_file`` lists their names without ending, one on each line.

    Corners, which the files count from 1, are given counted from 0.

    Args:
        min_size: boxes that are less wide or high than this (px) are ignored in training; None: none are.
        img_subdir: folder of the images under ``img_prefix``.
        ann_subdir: folder of the XML files under ``img_prefix``.
        **kwargs: arguments of :class:`CustomDataset`.

    Raises:
        ValueError: there are no ``CLASSES``.
    """

    def __init__(
        self,
        min_size: float | None = None,
        img_subdir: str = 'JPEGImages',
        ann_subdir: str = 'Annotations',
        **kwargs,
    ):
        classes = self.get_classes(kwargs.get('classes'))
        if not classes:
            raise ValueError(f"{type(self).__name__}: XML files do not list their classes; give classes=('name', ...)")
        self.cat2label = labels_of_names(classes, kwargs.get('rename'), kwargs.get('source_classes'))
        self.min_size = min_size
        self.img_subdir = img_subdir
        self.ann_subdir = ann_subdir
        super().__init__(**kwargs)

    def _adopt_classes(self) -> None:
        pass  # the files are read one by one, by names

    def load_annotations(self, ann_file: str) -> list[dict]:
        """Image entries, with the size from the XML file or, if it is not stated there, from the image."""
        infos = []
        for img_id in tracked(mmcv.list_from_file(ann_file), f'reading the XML files of {ann_file}'):
            xml = self._read_xml(img_id)
            filename = self._filename(img_id, xml)
            width, height = (xml.width, xml.height) if xml.width and xml.height else self._size_of_file(filename)
            infos.append(dict(id=img_id, filename=filename, width=width, height=height))
        return infos

    def _filename(self, img_id: str, xml: VocImage) -> str:
        return osp.join(self.img_subdir, f'{img_id}.jpg')

    def _size_of_file(self, filename: str) -> tuple[int, int]:
        with Image.open(osp.join(self.img_prefix, filename)) as image:  # reads the header only
            return image.size

    def _read_xml(self, img_id: str) -> VocImage:
        return parse_voc_xml(osp.join(self.img_prefix, self.ann_subdir, f'{img_id}.xml'))

    def _filter_imgs(self, min_size: int = 32) -> list[int]:
        """Numbers of the images to train on: large enough and, with ``filter_empty_gt``, with an object."""
        kept = []
        for i, info in enumerate(self.data_infos):
            if min(info['width'], info['height']) < min_size:
                self._count_filtered(f'smaller than {min_size} px', 1)
            elif self.filter_empty_gt and not self.get_cat_ids(i):
                self._count_filtered('without an object of the classes', 1)
            else:
                kept.append(i)
        return kept

    def get_ann_info(self, idx: int) -> dict:
        """Boxes and labels of an image; difficult and (in training) small objects are those to be ignored."""
        xml = self._read_xml(self.data_infos[idx]['id'])
        ours = np.asarray([name in self.cat2label for name in xml.names], dtype=bool)
        labels = np.asarray([self.cat2label.get(name, -1) for name in xml.names], dtype=np.int64)
        bboxes = (xml.corners - 1).astype(np.float32)
        ignored = xml.difficult
        if self.min_size and not self.test_mode:
            ignored = ignored | ((xml.corners[:, 2:] - xml.corners[:, :2]) < self.min_size).any(1)
        return dict(
            bboxes=bboxes[ours & ~ignored],
            labels=labels[ours & ~ignored],
            bboxes_ignore=bboxes[ours & ignored],
            labels_ignore=labels[ours & ignored],
        )

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of all the objects of an image, difficult ones too."""
        names = self._read_xml(self.data_infos[idx]['id']).names
        return [self.cat2label[name] for name in names if name in self.cat2label]
