"""The converters of other libraries' weights as processes."""

import pickle

import torch
from mmcv import Config
from tool_process import ROOT, run_tool
from torchvision.models import detection

from mmdet.models import build_detector


def test_torchvision_weights_there_and_back(tmp_path):
    theirs = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    torch.save(theirs.state_dict(), tmp_path / 'theirs.pth')
    script, model = 'tools/model_converters/torchvision2mmdet.py', 'fasterrcnn_resnet50_fpn'
    run_tool(script, tmp_path / 'theirs.pth', tmp_path / 'ours.pth')
    ours = torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']
    assert ours['roi_head.bbox_head.fc_cls.weight'].shape == (3, 1024)
    run_tool(script, tmp_path / 'ours.pth', tmp_path / 'back.pth', '--to-torchvision', model)
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
        check=False,
    )
    assert done.status == 1 and 'no class scores in the file' in done.error
    (tmp_path / 'x.pkl').write_bytes(pickle.dumps({'model': {'x': print}}))
    done = run_tool(
        'tools/model_converters/detectron2_to_mmdet.py',
        tmp_path / 'x.pkl',
        tmp_path / 'y.pth',
        check=False,
    )
    assert done.status == 1 and 'wants to run builtins.print' in done.error
    assert not (tmp_path / 'y.pth').exists()


def test_checkpoint_and_config_of_mmdetection_3(tmp_path):
    script = 'tools/model_converters/mmdet3_to_mmdet.py'
    example = ROOT / 'tests/apis/conversion/mmdet3_example.py'
    done = run_tool(script, example, tmp_path / 'ours.py')
    assert 'compare the numbers of a test' in done.text
    model = build_detector(Config.fromfile(str(tmp_path / 'ours.py')).model)
    weights = {**model.state_dict(), 'data_preprocessor.mean': torch.zeros(3, 1, 1)}
    torch.save(dict(state_dict=weights, meta=dict(dataset_meta=dict(classes=('a', 'b')))), tmp_path / 'theirs.pth')
    run_tool(script, tmp_path / 'theirs.pth', tmp_path / 'ours.pth', '--config', tmp_path / 'ours.py')
    content = torch.load(tmp_path / 'ours.pth', weights_only=True)
    model.load_state_dict(content['state_dict'])
    assert tuple(content['meta']['CLASSES']) == ('a', 'b')
    done = run_tool(script, tmp_path / 'theirs.pth', tmp_path / 'no.pth', check=False)
    assert done.status == 1 and 'a checkpoint needs --config' in done.error
