"""Cityscapes' own metric: what it needs, and what is handed to the scripts of its package."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pycocotools.mask as mask_utils
import pytest
from coco_files import coco_content

from mmdet.datasets import CityscapesDataset

NAME = 'cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling'
NONE = np.zeros((0, 5), np.float32)


@pytest.fixture
def dataset(write_coco, tmp_path):
    content = coco_content([[(26, 0, 0, 20, 20)]], categories=[dict(id=26, name='car')])
    content['images'][0]['file_name'] = 'ulm/ulm_0_leftImg8bit.png'
    content['annotations'][0]['segmentation'] = [[0, 0, 20, 0, 20, 20, 0, 20]]
    prefix = tmp_path / 'leftImg8bit' / 'val'
    return CityscapesDataset(write_coco(content), [], img_prefix=str(prefix), test_mode=True)


@pytest.fixture
def results():
    mask = np.zeros((48, 64), np.uint8, order='F')
    mask[:20, :20] = 1
    dets = [NONE] * 2 + [np.asarray([[0, 0, 20, 20, 0.75]], np.float32)] + [NONE] * 5
    return [(dets, [[]] * 2 + [[mask_utils.encode(mask)]] + [[]] * 5)]


def test_without_the_package_it_says_what_to_install(dataset, results, monkeypatch):
    monkeypatch.setitem(sys.modules, 'cityscapesscripts', None)
    with pytest.raises(ImportError, match='pip install cityscapesscripts'):
        dataset.evaluate(results, metric='cityscapes', logger='silent')


def test_images_of_one_name_in_two_cities_have_files_of_their_own(dataset, results, tmp_path):
    dataset.data_infos = [dict(filename='ulm/0.png'), dict(filename='../bonn/0.png')]
    files = dataset.results2txt(results * 2, str(tmp_path / 'out'))
    assert [Path(file).name for file in files] == ['0_pred.txt', '0_pred_1.txt']
    assert [Path(file).read_text() for file in files] == ['0_0_car.png 26 0.75\n', '0_0_car_1.png 26 0.75\n']
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        *('0_pred.txt', '0_pred_1.txt', '0_0_car.png', '0_0_car_1.png')
    }


@pytest.fixture
def scripts(monkeypatch):
    """A stand-in for the package's scripts, which notes what it was given."""
    module = ModuleType(NAME)
    module.args = SimpleNamespace()
    module.seen = []

    def look(predictions, truths, instances, args):
        assert hasattr(np, 'in1d')  # the package needs it, also where numpy has it no more
        (line,) = (Path(args.predictionPath) / 'ulm_0_leftImg8bit_pred.txt').read_text().splitlines()
        module.seen += [predictions, truths, line, (Path(args.predictionPath) / line.split()[0]).is_file()]
        return 'matches'

    module.getPrediction = lambda truth, args: f'prediction of {Path(truth).name}'
    module.setInstanceLabels = lambda args: None
    module.getGtInstances = lambda truths, args: {}
    module.matchGtWithPreds = look
    module.evaluateMatches = lambda matches, args: matches
    module.computeAverages = lambda matches, args: {'allAp': 0.5, 'allAp50%': 0.75} if matches == 'matches' else {}
    parts = NAME.split('.')
    for i in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, '.'.join(parts[:i]), ModuleType('.'.join(parts[:i])))
    monkeypatch.setattr(sys.modules['.'.join(parts[:2])], parts[2], module, raising=False)
    monkeypatch.setitem(sys.modules, NAME, module)
    return module


def test_results_go_to_the_scripts_and_their_figures_come_back(dataset, results, scripts, tmp_path):
    with pytest.raises(FileNotFoundError, match='gtFine'):
        dataset.evaluate(results, metric='cityscapes', logger='silent')
    truth = tmp_path / 'gtFine' / 'val' / 'ulm' / 'ulm_0_gtFine_instanceIds.png'
    truth.parent.mkdir(parents=True)
    truth.write_bytes(b'')
    out = dataset.evaluate(results, metric=['cityscapes', 'segm'], logger='silent')
    assert (out['mAP'], out['AP@50']) == (0.5, 0.75) and 'segm_mAP' in out
    predictions, truths, line, mask_is_there = scripts.seen
    assert predictions == ['prediction of ulm_0_gtFine_instanceIds.png'] and truths == [str(truth)]
    assert line == 'ulm_0_leftImg8bit_0_car.png 26 0.75' and mask_is_there
    assert not Path(scripts.args.predictionPath).exists()  # a temporary folder


def test_coco_metrics_of_boxes_and_masks(dataset, results):
    out = dataset.evaluate(results, metric=['bbox', 'segm'], logger='silent')
    assert out['bbox_mAP'] == 1.0 and out['segm_mAP'] == 1.0
