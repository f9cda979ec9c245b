"""An error of the device's memory says what the batch was."""

from types import SimpleNamespace

import pytest
import torch
from mmcv.parallel import DataContainer as DC

from mmdet.core.hook.diagnostics.out_of_memory import explained_memory
from mmdet.utils.errors import DeviceMemoryError


def test_sizes_boxes_and_cures_are_named():
    batch = dict(
        img=DC([torch.zeros(2, 3, 64, 96)], stack=True), gt_bboxes=DC([[torch.zeros(5, 4), torch.zeros(0, 4)]])
    )
    runner = SimpleNamespace(iter=6, data_batch=batch)
    with pytest.raises(DeviceMemoryError) as caught, explained_memory(runner):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB.\nmore')
    text = str(caught.value)
    assert text.startswith('out of memory in iteration 7: images 2x3x64x96, 5 + 0 boxes. Take fewer images a step')
    assert text.endswith('(CUDA out of memory. Tried to allocate 2 GiB.)')


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match='^shapes$'), explained_memory(SimpleNamespace(iter=0)):
        raise RuntimeError('shapes')
