"""The report of a mixture, as a process."""

import importlib.util
import sys

import pytest
from mmcv import Config
from tool_process import ROOT, run_tool

sys.path.insert(0, str(ROOT / 'tests/runtime'))
from mixture import write_mixture  # noqa: E402
from tiny import draw_data  # noqa: E402

SCRIPT = 'tools/analysis_tools/mixing_report.py'


def test_report_has_a_row_for_each_source_and_its_warnings(tmp_path):
    draw_data(tmp_path)
    step = "dict(type='AddFieldToImgMetas', fields=['rpn_head.loss_weight', 'ignore_negatives'], values=[0.0, 1])"
    extra = f"\ndata['train']['datasets'][1]['pipeline'] = train_pipeline + [{step}]\n"
    config = write_mixture(tmp_path, extra=extra)
    done = run_tool(SCRIPT, config, '--processes', 2)
    assert '| real      | 8      | 8        | 50.0% | 100.0%        | 50.0%          | 0.0%    | -' in done.text
    assert '| synthetic | 4      | 8        | 50.0% | 0.0%          | 50.0%          | 100.0%  | green' in done.text
    assert 'source_ratio=[1.0, 1.0]: an epoch has 4 steps of 2 x 2 images' in done.text
    assert 'WARNING synthetic: 100% of its images have weight 0 in rpn_head' in done.text
    assert 'WARNING ignored negatives: 50% of the images of an epoch' in done.text
    assert "ADVICE synthetic: 50% of the images of an epoch have negatives='none'" in done.text


def test_report_of_a_single_stage_speaks_of_its_head(tmp_path):
    draw_data(tmp_path)
    step = "dict(type='AddFieldToImgMetas', fields=['bbox_head.loss_weight', 'ignore_negatives'], values=[0.0, 1])"
    config = write_mixture(tmp_path, extra=f"\ndata['train']['datasets'][1]['pipeline'] = train_pipeline + [{step}]\n")
    text = config.read_text().replace('faster_rcnn_r50_fpn.py', 'retinanet_r50_fpn.py')
    start, end = text.index('model = dict('), text.index('norm = dict(')
    model = (
        'model = dict(\n    backbone=dict(depth=18, init_cfg=None),\n    neck=dict(in_channels=[64, 128, 256, 512]),\n'
        '    bbox_head=dict(num_classes=2),\n    directives=dict(weights=True))\n'
    )
    config.write_text(text[:start] + model + text[end:])
    done = run_tool(SCRIPT, config)
    assert '| ratio | bbox_head loss | ignored | unlabelled |' in done.text
    assert '| real      | 8      | 8        | 50.0% | 100.0%         | 0.0%    | -' in done.text
    assert 'WARNING synthetic: 100% of its images have weight 0 in bbox_head' in done.text
    assert 'rpn_head' not in done.text and 'roi_head' not in done.text


def config_of(name, **model):
    cfg = Config.fromfile(str(ROOT / f'configs/_base_/models/{name}.py'))
    cfg.model.backbone.update(depth=18, base_channels=8, stem_channels=8, init_cfg=None)
    cfg.model.neck.update(in_channels=[8, 16, 32, 64])
    cfg.merge_from_dict({f'model.{key}': value for key, value in model.items()})
    return cfg


IGNORING = 'OHEMSamplerWithIgnore'


@pytest.mark.parametrize(
    ('name', 'model', 'ignoring'),
    [
        ('faster_rcnn_r50_fpn', {}, []),
        ('faster_rcnn_r50_fpn', {'directives': {}}, ['rpn_head', 'bbox_head']),
        ('faster_rcnn_r50_fpn', {'directives': dict(weights=True)}, ['rpn_head', 'bbox_head']),
        ('faster_rcnn_r50_fpn', {'directives': dict(ignore_negatives=False)}, []),
        ('faster_rcnn_r50_fpn', {'train_cfg.rcnn.sampler.type': IGNORING}, ['bbox_head']),
        ('retinanet_r50_fpn', {}, []),
        ('retinanet_r50_fpn', {'directives': {}}, ['bbox_head']),
        ('retinanet_r50_fpn', {'train_cfg.sampler': dict(type='PseudoSamplerWithIgnore')}, ['bbox_head']),
    ],
)
def test_heads_whose_samplers_obey_are_found(name, model, ignoring):
    heads = tool().heads_of(config_of(name, **model))
    assert [head for head, obeyed in heads.items() if obeyed.ignores] == ignoring


def test_heads_of_models_and_what_they_fall_back_on():
    two = {'rpn_head': ('rpn_head',), 'bbox_head': ('bbox_head', 'roi_head'), 'mask_head': ('mask_head', 'roi_head')}
    for name in ('mask_rcnn_r50_fpn', 'cascade_mask_rcnn_r50_fpn'):
        heads = tool().heads_of(config_of(name))
        assert {head: obeyed.names for head, obeyed in heads.items()} == two
        assert [head for head, obeyed in heads.items() if obeyed.has_negatives] == ['rpn_head', 'bbox_head']
        assert [head for head, obeyed in heads.items() if obeyed.class_wise] == ['bbox_head']
    (head,) = tool().heads_of(config_of('retinanet_r50_fpn')).values()
    assert head.names == ('bbox_head', 'rpn_head') and head.has_negatives and head.class_wise


def test_a_head_over_points_ignores_negatives_itself():
    cfg = Config.fromfile(str(ROOT / 'configs/fcos/fcos_r50_caffe_fpn_gn-head_1x_coco.py'))
    cfg.model.backbone.init_cfg = None
    (head,) = tool().heads_of(cfg).values()
    assert head.names == ('bbox_head', 'rpn_head') and head.ignores and head.class_wise


def tool():
    spec = importlib.util.spec_from_file_location('mixing_report_tool', ROOT / SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sources_whose_labels_mean_different_classes_are_named(tmp_path):
    draw_data(tmp_path)
    extra = (
        "\ndel data['train']['classes'], data['train']['rename']\n"
        "data['train']['datasets'][0]['classes'] = ('red', 'green')\n"
        "data['train']['datasets'][1]['classes'] = ('green', 'crimson')\n"
    )
    done = run_tool(SCRIPT, write_mixture(tmp_path, extra=extra))
    assert 'WARNING synthetic has other classes than real, so that their labels do not mean the same' in done.text


def test_a_ratio_that_does_not_fit_is_one_line(tmp_path):
    draw_data(tmp_path)
    done = run_tool(SCRIPT, write_mixture(tmp_path, 'source_ratio=[1, 2, 3]'), check=False)
    assert done.status != 0 and 'for each of the 2 joined data sets (real, synthetic), got [1, 2, 3]' in done.error
