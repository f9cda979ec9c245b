"""The report of a mixture, as a process."""

import importlib.util
import sys

import pytest
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
    done = run_tool(SCRIPT, config, '--processes', 2, folder=tmp_path)
    assert '| real      | 8      | 8        | 50.0% | 100.0%        | 50.0%         | 0.0%    | -' in done.text
    assert '| synthetic | 4      | 8        | 50.0% | 0.0%          | 50.0%         | 100.0%  | green' in done.text
    assert 'source_ratio=[1.0, 1.0]: an epoch has 4 steps of 2 x 2 images' in done.text
    assert 'WARNING synthetic: 100% of its images have weight 0 in rpn_head' in done.text
    assert 'WARNING ignored negatives: 50% of the images of an epoch' in done.text
    assert "ADVICE synthetic: 50% of the images of an epoch have negatives='none'" in done.text


@pytest.mark.parametrize(
    ('model', 'heads'),
    [
        (dict(roi_head={}, train_cfg=dict(rpn=dict(assigner={}), rcnn=dict(assigner={}))), []),
        (dict(roi_head={}, train_cfg=dict(rpn={1: 1}, rcnn=[{1: 1}]), directives={}), ['rpn_head', 'roi_head']),
        (dict(roi_head={}, train_cfg=dict(rpn={1: 1}), directives=dict(weights=True)), ['rpn_head']),
        (dict(roi_head={}, train_cfg=dict(rpn={1: 1}), directives=dict(ignore_negatives=False)), []),
        (dict(roi_head={}, train_cfg=dict(rcnn=[dict(sampler=dict(type='OHEMSamplerWithIgnore'))])), ['roi_head']),
        (dict(bbox_head={}, train_cfg=dict(assigner={}), directives={}), ['rpn_head']),
        (dict(bbox_head={}, train_cfg=dict(assigner={}, sampler=dict(type='RandomSampler'))), []),
        (dict(bbox_head={}, train_cfg=None), []),
    ],
)
def test_heads_whose_samplers_obey_are_found(model, heads):
    assert tool().ignoring_heads(model) == heads


def tool():
    spec = importlib.util.spec_from_file_location('mixing_report_tool', ROOT / SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_ratio_that_does_not_fit_is_one_line(tmp_path):
    draw_data(tmp_path)
    done = run_tool(SCRIPT, write_mixture(tmp_path, 'source_ratio=[1, 2, 3]'), folder=tmp_path, check=False)
    assert done.status != 0 and 'for each of the 2 joined data sets (real, synthetic), got [1, 2, 3]' in done.error
