"""An annotation file in COCO's panoptic format."""

import os.path as osp
from collections import defaultdict
from collections.abc import Sequence

from mmdet.datasets.api_wrappers.coco_api import COCO


class COCOPanoptic(COCO):
    """Index of a COCO panoptic file, whose annotations are one entry an image with a list of segments.

    The segments take the place of the annotations; each has the ``image_id`` of its image. Ids of segments repeat from
    image to image, so an id stands for a list of them.

    Args:
        annotation_file: path of the JSON file; None for an empty index.

    Attributes:
        anns: segment id -> the segments that have it.
        img_ann_map: image id -> its segments.
        cat_img_map: category id -> ids of the images that have it, one entry a segment.
        imgs: image id -> its entry, with ``segm_file``, the name of its picture of segments.
    """

    PANOPTIC = True

    def createIndex(self) -> None:  # noqa: N802 - pycocotools calls it
        """Build the maps from the file's content."""
        anns, img_to_anns, cat_to_imgs = defaultdict(list), defaultdict(list), defaultdict(list)
        self.imgs = {info['id']: info for info in self.dataset.get('images', ())}
        for info in self.imgs.values():
            info['segm_file'] = osp.splitext(info['file_name'])[0] + '.png'
        self.cats = {cat['id']: cat for cat in self.dataset.get('categories', ())}
        for entry in self.dataset.get('annotations', ()):
            image_id = entry['image_id']
            if 'file_name' in entry and image_id in self.imgs:
                self.imgs[image_id]['segm_file'] = entry['file_name']
            for segment in entry['segments_info']:
                segment['image_id'] = image_id
                img_to_anns[image_id].append(segment)
                anns[segment['id']].append(segment)
                cat_to_imgs[segment['category_id']].append(image_id)
        self.anns, self.imgToAnns, self.catToImgs = anns, img_to_anns, cat_to_imgs

    def load_anns(self, ids: Sequence[int] | int = ()) -> list[dict]:
        """Segments by id, of all images."""
        ids = [ids] if isinstance(ids, int) else ids
        return [segment for segment_id in ids for segment in self.anns.get(segment_id, ())]
