"""WIDER FACE."""

import os.path as osp

from mmdet.datasets.formats.voc_xml import VocImage
from mmdet.datasets.registry import DATASETS
from mmdet.datasets.xml_style import XMLDataset


@DATASETS.register_module()
class WIDERFaceDataset(XMLDataset):
    """WIDER FACE, converted to VOC's XML; images lie in the folder that their XML file names.

    Args:
        **kwargs: arguments of :class:`XMLDataset`.
    """

    CLASSES = ('face',)
    PALETTE = [(0, 255, 0)]

    def _filename(self, img_id: str, xml: VocImage) -> str:
        return osp.join(xml.folder, f'{img_id}.jpg')
