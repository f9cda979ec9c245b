"""Frames with reference frames; the steps of the pipeline take lists of results."""

import numpy as np
from mmcv.parallel import DataContainer

from mmdet.datasets import DATASETS, PIPELINES, CocoDataset
from mmdet.datasets.pipelines import LoadAnnotations, LoadImageFromFile, Normalize, Pad, RandomFlip, Resize, to_tensor


@DATASETS.register_module()
class FramesDataset(CocoDataset):
    """Neighbouring images are taken for frames of a video."""

    def __init__(self, *args, ref_img_sampler=None, **kwargs):
        self.ref_img_sampler = ref_img_sampler
        super().__init__(*args, **kwargs)

    def ref_frames(self, idx):
        offsets = self.ref_img_sampler['offsets']
        return [int(np.clip(idx + offset, 0, len(self) - 1)) for offset in offsets]

    def prepare_results(self, idx):
        results = dict(img_info=self.data_infos[idx], ann_info=self.get_ann_info(idx), is_video_data=True)
        self.pre_pipeline(results)
        return results

    def prepare_train_img(self, idx):
        frames = [idx, *self.ref_frames(idx)] if self.ref_img_sampler else [idx]
        return self.pipeline([self.prepare_results(frame) for frame in frames])


def on_every_frame(step):
    class OnFrames(step):
        def __call__(self, results):
            return [super(OnFrames, self).__call__(frame) for frame in results]

    OnFrames.__name__ = f'Seq{step.__name__}'
    return PIPELINES.register_module()(OnFrames)


SeqLoadImageFromFile, SeqLoadAnnotations, SeqResize, SeqNormalize, SeqPad = map(
    on_every_frame, (LoadImageFromFile, LoadAnnotations, Resize, Normalize, Pad)
)


@PIPELINES.register_module()
class SeqRandomFlip(RandomFlip):
    """All frames are flipped, or none."""

    def __call__(self, results):
        flip = bool(np.random.rand() < 0.5)
        for frame in results:
            frame.update(flip=flip, flip_direction='horizontal' if flip else None)
        return [super(SeqRandomFlip, self).__call__(frame) for frame in results]


@PIPELINES.register_module()
class VideoBundle:
    """The first frame as a detector's input, the others under ``ref_``."""

    def __init__(self, meta_keys=('filename', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip')):
        self.meta_keys = meta_keys

    def metas(self, frame):
        return {key: frame[key] for key in self.meta_keys}

    def image(self, frame):
        return np.ascontiguousarray(frame['img'].transpose(2, 0, 1))

    def __call__(self, results):
        key, *others = results
        out = dict(
            img=DataContainer(to_tensor(self.image(key)), stack=True),
            img_metas=DataContainer(self.metas(key), cpu_only=True),
            gt_bboxes=DataContainer(to_tensor(key['gt_bboxes'])),
            gt_labels=DataContainer(to_tensor(key['gt_labels'])),
        )
        if others:
            frames = np.stack([self.image(frame) for frame in others])
            out['ref_img'] = DataContainer(to_tensor(frames), stack=True)
            out['ref_img_metas'] = DataContainer([self.metas(frame) for frame in others], cpu_only=True)
        return out
