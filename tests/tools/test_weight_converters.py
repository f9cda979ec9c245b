"""The converters of other libraries' weights as processes."""

import pickle

import torch
from tool_process import run_tool
from torchvision.models import detection


def test_torchvision_weights_there_and_back(tmp_path):
    theirs = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    torch.save(theirs.state_dict(), tmp_path / 'theirs.pth')
    script, model = 'tools/model_converters/torchvision2mmdet.py', 'fasterrcnn_resnet50_fpn'
    run_tool(script, tmp_path / 'theirs.pth', tmp_path / 'ours.pth', folder=tmp_path)
    ours = torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']
    assert ours['roi_head.bbox_head.fc_cls.weight'].shape == (3, 1024)
    run_tool(script, tmp_path / 'ours.pth', tmp_path / 'back.pth', '--to-torchvision', model, folder=tmp_path)
    again = torch.load(tmp_path / 'back.pth', weights_only=True)
    scores = 'roi_heads.box_predictor.cls_score.weight'
    assert torch.equal(again[scores], theirs.state_dict()[scores])
    theirs.load_state_dict(again)


def test_converters_say_what_is_wrong(tmp_path):
    torch.save({'x': torch.zeros(1)}, tmp_path / 'x.pth')
    done = run_tool(
        'tools/model_converters/torchvision2mmdet.py',
        tmp_path / 'x.pth',
        tmp_path / 'y.pth',
        folder=tmp_path,
        check=False,
    )
    assert done.status == 1 and 'no class scores in the file' in done.error
    (tmp_path / 'x.pkl').write_bytes(pickle.dumps({'model': {'x': print}}))
    done = run_tool(
        'tools/model_converters/detectron2_to_mmdet.py',
        tmp_path / 'x.pkl',
        tmp_path / 'y.pth',
        folder=tmp_path,
        check=False,
    )
    assert done.status == 1 and 'wants to run builtins.print' in done.error
    assert not (tmp_path / 'y.pth').exists()
