"""Exported files, run by onnxruntime and by torch: the same results as the detector's.

An export takes some ten seconds, so that each detector is exported once, for all processes of a run of the tests.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from export_cases import CLASSES, NORM, config_of, retinanet

from mmdet.apis import inference_detector, init_detector
from mmdet.apis.export import DetectorGraph, ExportError, ExportOptions, ONNXDetector, export_detector, requirements
from mmdet.core.export import ONNXRuntimeDetector
from mmdet.utils.errors import ReportedError

ROOT = Path(__file__).resolve().parents[3]
# onnx and onnxruntime are requirements of the tests; what older torch says is tested in test_graph.py
pytestmark = pytest.mark.skipif(
    requirements.torch_release() < requirements.LEAST_TORCH, reason='the exporter needs a newer torch'
)


def batch(number, size, factor=1.0):
    """Images of noise; all but the first have padding."""
    torch.manual_seed(number)
    images = factor * torch.randn(number, 3, *size)
    shapes = [(size[0] - 11 * i, size[1] - 17 * i, 3) for i in range(number)]
    metas = [
        dict(img_shape=s, ori_shape=s, pad_shape=(*size, 3), scale_factor=np.ones(4, np.float32), flip=False)
        for s in shapes
    ]
    return dict(img=[images], img_metas=[metas])


def assert_same(found, expected):
    """The same detections of each class, boxes within 0.01 px, scores within 1e-4; and masks but for a few pixels."""
    boxes, wanted = (result[0] if isinstance(result, tuple) else result for result in (found, expected))
    assert [len(of_class) for of_class in boxes] == [len(of_class) for of_class in wanted]
    for of_class, expected_of_class in zip(boxes, wanted):
        np.testing.assert_allclose(of_class[:, :4], expected_of_class[:, :4], atol=0.01)
        np.testing.assert_allclose(of_class[:, 4], expected_of_class[:, 4], atol=1e-4)
    if isinstance(expected, tuple):
        for of_class, expected_of_class in zip(found[1], expected[1]):
            for mask, expected_mask in zip(of_class, expected_of_class, strict=True):
                assert mask.dtype == expected_mask.dtype and (mask != expected_mask).mean() < 1e-3
    return sum(map(len, wanted))


@pytest.mark.parametrize('kind', ['one_stage', 'two_stage'])
@torch.no_grad()
def test_onnx_file_gives_what_the_detector_gives(kind, request):
    detector, path = request.getfixturevalue(kind), request.getfixturevalue(f'{kind}_file')
    exported = ONNXDetector(path)
    numbers = []
    for number, size in ((1, (160, 224)), (3, (192, 130)), (2, (133, 256))):
        data = batch(number, size)
        pairs = zip(exported(return_loss=False, **data), detector(return_loss=False, **data), strict=True)
        numbers += [assert_same(*pair) for pair in pairs]
    assert min(numbers) > 0


@torch.no_grad()
def test_onnx_file_finds_nothing_where_the_detector_finds_nothing(one_stage, one_stage_file):
    data = batch(2, (160, 192), factor=0.0)
    pairs = zip(ONNXDetector(one_stage_file)(return_loss=False, **data), one_stage(return_loss=False, **data))
    assert [assert_same(*pair) for pair in pairs] == [0, 0]


def test_file_says_what_it_needs(one_stage_file):
    about = ONNXDetector(one_stage_file).metadata
    assert about['classes'] == list(CLASSES) and about['normalisation'] == NORM
    assert (about['scale'], about['keep_ratio'], about['size_divisor'], about['side_divisor']) == (
        [224, 160],
        True,
        32,
        1,
    )
    assert about['outputs'] == ['dets', 'labels'] and about['detector'] == 'RetinaNet' and not about['raw']
    assert len(about['config_hash']) == 64


def picture(path):
    rng = np.random.default_rng(0)
    cv2.imwrite(str(path), rng.integers(0, 255, (150, 210, 3), dtype=np.uint8))
    return str(path)


def test_consumer_of_the_page_needs_neither_mmdet_nor_torch(one_stage, one_stage_file, tmp_path):
    page = (ROOT / 'docs/deployment.md').read_text()
    script = page.split('# file: detect.py\n')[1].split('```')[0]
    (tmp_path / 'detect.py').write_text(f'import sys\nsys.modules.update(mmdet=None, torch=None, mmcv=None)\n{script}')
    image = picture(tmp_path / 'image.png')
    done = subprocess.run(
        [sys.executable, str(tmp_path / 'detect.py'), str(one_stage_file), image], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = sorted((CLASSES.index(name), *map(float, rest)) for name, *rest in map(str.split, done.stdout.splitlines()))
    result = inference_detector(one_stage, image)
    expected = sorted((label, box[4], *box[:4]) for label, boxes in enumerate(result) for box in boxes.tolist())
    assert len(found) > 5
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_file_stands_where_a_checkpoint_does(two_stage, two_stage_file, tmp_path):
    detector = init_detector(two_stage.cfg, str(two_stage_file))
    image = picture(tmp_path / 'image.png')
    result, expected = inference_detector(detector, image), inference_detector(two_stage, image)
    assert assert_same(result, expected) > 0 and detector.CLASSES == CLASSES
    detector.show_result(image, result, out_file=str(tmp_path / 'drawn.png'))
    assert cv2.imread(str(tmp_path / 'drawn.png')).shape == (150, 210, 3)
    with pytest.raises(ValueError, match='return_loss=False'):
        detector(**batch(1, (160, 160)))


def test_file_that_is_missing_or_none_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.onnx'):
        ONNXDetector(tmp_path / 'nothing.onnx')
    (tmp_path / 'text.onnx').write_text('text')
    with pytest.raises(ReportedError, match='onnxruntime cannot read .*text.onnx'):
        ONNXDetector(tmp_path / 'text.onnx')


def test_file_is_timed_beside_torch_and_by_openvino_where_it_is_installed(one_stage, one_stage_file, tmp_path, capsys):
    cfg = config_of(retinanet())
    (tmp_path / 'config.py').write_text(f'model = {cfg.model.to_dict()}\ndata = {cfg.data.to_dict()}\n')
    torch.save(dict(state_dict=one_stage.state_dict(), meta=dict(CLASSES=CLASSES)), tmp_path / 'weights.pth')
    arguments = [str(tmp_path / 'config.py'), str(tmp_path / 'weights.pth'), str(one_stage_file)]
    with_openvino = ['OpenVINO'] * (importlib.util.find_spec('openvino') is not None)
    options = ['--size', '160', '192', '--repeats', '1', '--no-compile']
    medians = tool('deployment/benchmark.py').main([*arguments, *options, '--bf16', '--channels-last'])
    by_torch = ['torch', 'torch channels last', 'torch bf16', 'torch bf16 channels last']
    assert list(medians) == [*by_torch, 'onnxruntime', *with_openvino] and min(medians.values()) > 0
    with pytest.raises(SystemExit):  # two rows by one name
        tool('deployment/benchmark.py').main([*arguments, str(one_stage_file), *options])
    assert '1.00 of torch' in capsys.readouterr().out


def test_public_class_of_the_file_gives_boxes(one_stage, one_stage_file):
    data = batch(1, (160, 192))
    with torch.no_grad():
        expected = one_stage(return_loss=False, **data)
    assert assert_same(ONNXRuntimeDetector(str(one_stage_file), CLASSES, 0)(return_loss=False, **data)[0], expected[0])


def test_exported_file_is_evaluated_as_a_checkpoint_is(one_stage, one_stage_file, raw_images_file, tmp_path):
    picture(tmp_path / 'image.png')
    (box,) = [boxes[0, :4].tolist() for boxes in inference_detector(one_stage, str(tmp_path / 'image.png'))[:1]]
    box = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
    truth = dict(
        images=[dict(id=1, file_name='image.png', height=150, width=210)],
        annotations=[dict(id=1, image_id=1, category_id=1, bbox=box, area=box[2] * box[3], iscrowd=0)],
        categories=[dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)],
    )
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    cfg = config_of(retinanet())
    cfg.data.test.update(ann_file=str(tmp_path / 'truth.json'), img_prefix=str(tmp_path))
    (tmp_path / 'config.py').write_text(f'model = {cfg.model.to_dict()}\ndata = {cfg.data.to_dict()}\n')
    torch.save(dict(state_dict=one_stage.state_dict(), meta=dict(CLASSES=CLASSES)), tmp_path / 'weights.pth')

    metrics = []
    files = (tmp_path / 'weights.pth', one_stage_file, raw_images_file)
    for script, model in zip(('test.py', 'deployment/test.py', 'deployment/test.py'), files):
        work = tmp_path / Path(model).stem
        tool(script).main([str(tmp_path / 'config.py'), str(model), '--eval', 'bbox', '--work-dir', str(work)])
        (written,) = work.glob('eval_*.json')
        metrics.append(json.loads(written.read_text())['metric'])
    assert metrics[0] == metrics[1] and metrics[0]['bbox_mAP'] > 0
    assert metrics[2]['bbox_mAP_50'] > 0  # its own resizing differs by a level


def tool(name):
    spec = importlib.util.spec_from_file_location(f'tool_{Path(name).stem}', ROOT / 'tools' / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@torch.no_grad()
def test_program_gives_what_the_graph_gives(one_level, tmp_path):
    options = ExportOptions(batch_size=2, size=(160, 224))
    about = export_detector(one_level, tmp_path / 'model.pt2', options)
    files = {'metadata.json': ''}
    program = torch.export.load(tmp_path / 'model.pt2', extra_files=files).module()
    images, sizes = torch.randn(2, 3, 192, 256), torch.tensor([[192, 256], [150, 200]])
    expected = DetectorGraph(one_level)(images, sizes)
    for found, wanted in zip(program(input=images, sizes=sizes), expected):
        torch.testing.assert_close(found, wanted)
    assert json.loads(files['metadata.json'])['classes'] == about['classes'] == list(CLASSES)


def test_file_of_another_kind_is_refused(one_stage, tmp_path):
    with pytest.raises(ExportError, match=r'expected a name that ends in .onnx or .pt2'):
        export_detector(one_stage, tmp_path / 'model.engine')
