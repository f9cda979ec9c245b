"""Another first layer, a cosine classifier, support features in the RoI head, joined files, frozen names."""

import torch
from harness import train_and_resume

PLUGIN = """
custom_imports = dict(imports=['few_shot'], allow_failed_imports=False)
model = dict(
    type='FewShotRCNN', frozen_parameters=['backbone.layer1', 'rpn_head'],
    backbone=dict(type='ResNetWithMetaConv'),
    roi_head=dict(type='MetaRoIHead', bbox_head=dict(type='CosineBBoxHead', scale=10.0)))
ann = [dict(ann_file='${data_root}/ann.json', num_shots=1), dict(ann_file='${data_root}/ann.json')]
data = dict(train=dict(_delete_=True, type='FewShotCoco', ann_cfg=ann, classes=('red', 'green'),
                       img_prefix='${data_root}/img/', pipeline={{_base_.train_pipeline}}))
"""


def test_few_shot_detector_trains_evaluates_saves_and_resumes(tmp_path, monkeypatch):
    model, entries, cfg = train_and_resume(tmp_path, PLUGIN)
    assert all('loss_support' in entry for entry in entries if entry['mode'] == 'train')
    # one box of each class, and six: eight images with a box, two batches of four
    assert [entry['iter'] for entry in entries if entry['mode'] == 'train'] == [1, 2, 1, 2]
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert {name.split('.')[0] for name in frozen} == {'backbone', 'rpn_head'}
    saved = torch.load(tmp_path / 'work/epoch_1.pth')['state_dict']
    now = model.state_dict()
    assert all(torch.equal(saved[name], now[name]) for name in frozen)
    assert not torch.equal(saved['backbone.meta_conv.weight'], now['backbone.meta_conv.weight'])
    assert now['roi_head.bbox_head.fc_cls.weight'].shape == (3, 32)
    assert 'roi_head.bbox_head.fc_cls.bias' not in now
