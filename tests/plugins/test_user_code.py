"""Parts of a run and of its data that a user wrote, by ``plugin=`` and by ``custom_imports``."""

import pytest
from harness import train_and_resume

PARTS = """
model = dict(type='ExtraRCNN', roi_head=dict(bbox_head=dict(type='NestedLossHead')))
pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(64, 64), keep_ratio=True), dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Brightness'),
    dict(type='Normalize', mean=[100.0, 100.0, 100.0], std=[50.0, 50.0, 50.0]), dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'],
         meta_keys=('filename', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip', 'brightness'))]
data = dict(train=dict(type='BrightCoco', pipeline=pipeline), val=dict(type='BrightCoco'))
evaluation = dict(metric='bright_count', classwise=True, save_best='bright_count', rule='greater')
optimizer = dict(constructor='SlowBackbone', paramwise_cfg=dict(backbone_factor=0.25))
lr_config = dict(_delete_=True, policy='Halving', by_epoch=False)
runner = dict(type='CountingRunner')
custom_hooks = [dict(type='NoteHook', note='seen.txt', priority=40)]
"""
WAYS = dict(
    custom_imports="custom_imports = dict(imports=['user_code.parts', 'user_code.training'])\n",
    plugin="plugin = True\nplugin_dir = 'user_code/'\n",
)


@pytest.mark.parametrize('way', WAYS)
def test_parts_of_a_user_train_evaluate_save_and_resume(tmp_path, way):
    model, entries, cfg = train_and_resume(tmp_path, WAYS[way] + PARTS)
    first, second, evaluated, *_ = entries
    assert (first['seen'], second['seen']) == (4, 8)
    assert first['extra'] + second['extra'] == 3 * sum(range(8))
    assert [round(entry['lr'], 6) for entry in entries if entry['mode'] == 'train'] == [0.01, 0.005, 0.0025, 0.00125]
    assert evaluated['classwise'] == 1 and evaluated['bright_count'] > 0
    # epochs, steps, the last rate and the groups of parameters of both runs
    notes = (tmp_path / 'work/seen.txt').read_text().splitlines()
    assert notes == ['1 2 0.0050 2', '2 4 0.0013 2']
    assert (tmp_path / 'work/best_bright_count_epoch_1.pth').exists() or (
        tmp_path / 'work/best_bright_count_epoch_2.pth'
    ).exists()


def test_source_log_counts_nested_losses(tmp_path):
    own = PARTS.replace('custom_hooks = [', 'per_source_log = True\ncustom_hooks = [')
    _, entries, _ = train_and_resume(tmp_path, WAYS['custom_imports'] + own)
    assert all(entry['loss'] > 0 for entry in entries if entry['mode'] == 'train')
