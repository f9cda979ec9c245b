"""A pipeline step, a data set with more keys and its metric, a head with nested losses, a detector that reads both."""

import numpy as np
import torch
from mmcv.parallel import DataContainer

from mmdet.datasets import DATASETS, PIPELINES, CocoDataset
from mmdet.models import DETECTORS, HEADS, FasterRCNN, Shared2FCBBoxHead


@PIPELINES.register_module()
class Brightness:
    """Notes how bright an image is; runs before it is normalised."""

    def __call__(self, results):
        results['brightness'] = float(results['img'].mean())
        return results


@DATASETS.register_module()
class BrightCoco(CocoDataset):
    def __getitem__(self, idx):
        data = super().__getitem__(idx)
        if not self.test_mode:
            data['extra'] = DataContainer(torch.full((3,), float(idx)), stack=True, pad_dims=None)
            data['weather'] = DataContainer('rain' if idx % 2 else 'sun', cpu_only=True)
        return data

    def evaluate(self, results, metric='bright_count', logger=None, classwise=False, **kwargs):
        assert metric in ('bright_count', ['bright_count'])
        return dict(
            bright_count=float(np.mean([sum(map(len, result)) for result in results])), classwise=int(classwise)
        )


@HEADS.register_module()
class NestedLossHead(Shared2FCBBoxHead):
    def loss(self, *args, **kwargs):
        losses = super().loss(*args, **kwargs)
        cls, box = losses['loss_cls'], losses['loss_bbox']
        losses['loss_cls'] = [cls / 2, cls / 2]
        losses['loss_bbox'] = [[box / 4, box / 4], [box / 2]]
        return losses


@DETECTORS.register_module()
class ExtraRCNN(FasterRCNN):
    def forward_train(self, img, img_metas, *args, extra=None, weather=None, **kwargs):
        assert extra.shape == (len(img), 3) and set(weather) <= {'rain', 'sun'}
        assert all(0 < meta['brightness'] < 255 for meta in img_metas)
        self.last_extra = extra.sum()
        return super().forward_train(img, img_metas, *args, **kwargs)
