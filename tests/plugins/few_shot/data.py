"""One data set from several annotation files, with a number of boxes for each class from each."""

import copy

from mmdet.datasets import DATASETS, CocoDataset
from mmdet.datasets.api_wrappers import COCO


@DATASETS.register_module()
class FewShotCoco(CocoDataset):
    def __init__(self, ann_cfg=None, num_shots=None, **kwargs):
        self.num_shots = num_shots
        self.ann_cfg = copy.deepcopy(ann_cfg)
        super().__init__(ann_file='', **kwargs)

    def load_annotations(self, ann_file):
        infos, self.shots = [], {}
        for part in self.ann_cfg:
            self.coco = COCO(part['ann_file'])
            self.cat_ids = self.coco.get_cat_ids(cat_names=self.CLASSES)
            self.cat2label = {cat_id: i for i, cat_id in enumerate(self.cat_ids)}
            self.img_ids = self.coco.get_img_ids()
            for img_id in self.img_ids:
                info = self.coco.load_imgs([img_id])[0]
                info['filename'] = info['file_name']
                anns = self.coco.load_anns(self.coco.get_ann_ids(img_ids=[img_id]))
                infos.append(dict(info, ann=self._parse_ann_info(info, [a for a in anns if self.wanted(part, a)])))
        return infos

    def wanted(self, part, ann):
        limit = part.get('num_shots', self.num_shots)
        if limit is None:
            return True
        key = part['ann_file'], ann['category_id']
        self.shots[key] = self.shots.get(key, 0) + 1
        return self.shots[key] <= limit

    def get_ann_info(self, idx):
        return self.data_infos[idx]['ann']

    def get_cat_ids(self, idx):
        return self.data_infos[idx]['ann']['labels'].tolist()

    def _filter_imgs(self, min_size=32):
        return [i for i, info in enumerate(self.data_infos) if len(info['ann']['labels']) or not self.filter_empty_gt]
