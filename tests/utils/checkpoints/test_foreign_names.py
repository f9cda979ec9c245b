"""Files of other libraries are known by the names of their tensors."""

import pytest
import torch
from torch import nn
from torchvision.models import detection

from mmdet.utils.checkpoints.checkpoint import CheckpointMismatchError, load_checkpoint
from mmdet.utils.checkpoints.foreign_names import converter_advice


class Own(nn.Module):
    """A model with names of its own."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(2, 2)


@pytest.mark.parametrize('name', ['fasterrcnn_mobilenet_v3_large_fpn', 'retinanet_resnet50_fpn'])
def test_detector_of_torchvision_names_its_converter(name):
    with torch.device('meta'):
        theirs = getattr(detection, name)(weights=None, weights_backbone=None)
    advice = converter_advice(theirs.state_dict(), 'their.pth')
    assert advice.startswith("these are names of torchvision's detectors; convert the file first: ")
    assert advice.endswith('python tools/model_converters/torchvision2mmdet.py their.pth converted.pth')


@pytest.mark.parametrize(
    ('name', 'says'),
    [
        ('backbone.bottom_up.stem.conv1.weight', 'detectron2_to_mmdet.py a.pth'),
        ('model.0.conv.weight', "ultralytics' YOLOs, which have no counterpart"),
        ('backbone.layer1.0.conv1.weight', ''),
    ],
)
def test_other_libraries(name, says):
    assert says in converter_advice([name], 'a.pth') and bool(says) == bool(converter_advice([name], 'a.pth'))


def test_errors_of_loading_name_the_converter(tmp_path):
    path = str(tmp_path / 'theirs.pth')
    torch.save({'backbone.body.conv1.weight': torch.zeros(2)}, path)
    with pytest.raises(RuntimeError, match='(?s)no tensor of .*torchvision2mmdet.py .*theirs.pth converted.pth'):
        load_checkpoint(Own(), path)
    with pytest.raises(CheckpointMismatchError, match='2 are missing.*torchvision2mmdet.py'):
        load_checkpoint(Own(), path, complete='Give the right one.')
    torch.save({'other.weight': torch.zeros(2)}, path)
    with pytest.raises(CheckpointMismatchError, match='2 are missing.*Give the right one.'):
        load_checkpoint(Own(), path, complete='Give the right one.')
