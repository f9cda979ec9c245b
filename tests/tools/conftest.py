"""One small data set, its results, a detector and its checkpoint, for all tests of tools."""

import importlib.util
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from tool_process import ROOT

SPEC = importlib.util.spec_from_file_location('tiny_for_tools', ROOT / 'tests/runtime/tiny.py')
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

DIRECTIVES = """
data['train']['pipeline'] = train_pipeline + [
    dict(type='AddFieldToImgMetas', fields=['rpn_head.loss_weight', 'ignore_negatives'], values=[0.5, 1])]
data['train']['pipeline'][1] = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
"""


def add_masks_and_a_crowd(folder: Path) -> None:
    """Give every object the polygon of its box, and image 7 a crowd, which is to be ignored."""
    content = json.loads((folder / 'ann.json').read_text())
    crowd = dict(id=100, image_id=7, category_id=1, iscrowd=1, bbox=[10, 10, 30, 20], area=600)
    content['annotations'].append(crowd)
    for ann in content['annotations']:
        x, y, w, h = ann['bbox']
        ann['segmentation'] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    for category in content['categories']:
        category['supercategory'] = 'colour'
    (folder / 'ann.json').write_text(json.dumps(content))


def made_results(folder: Path) -> list[list[np.ndarray]]:
    """The truth of images 0 to 2; of image 3 with the classes swapped; 4 is missed; 5 has a second, false box."""
    content = json.loads((folder / 'ann.json').read_text())
    results = [[np.zeros((0, 5), np.float32) for _ in tiny.CLASSES] for _ in content['images']]
    for ann in content['annotations']:
        image, label = ann['image_id'], ann['category_id'] - 1
        if image == 4 or ann['iscrowd']:
            continue
        x, y, w, h = ann['bbox']
        boxes = [[x, y, x + w, y + h, 0.9]] + [[0, 0, 6, 6, 0.5]] * (image == 5)
        results[image][1 - label if image == 3 else label] = np.array(boxes, np.float32)
    return results


@pytest.fixture(scope='session')
def world(tmp_path_factory) -> Path:
    """A folder with ``ann.json``, ``img``, ``tiny.py`` (the config), ``results.pkl`` and ``weights.pth``."""
    from mmcv import Config

    from mmdet.models import build_detector

    folder = tmp_path_factory.mktemp('tools')
    tiny.draw_data(folder)
    add_masks_and_a_crowd(folder)
    config = tiny.write_config(folder, DIRECTIVES)
    (folder / 'results.pkl').write_bytes(pickle.dumps(made_results(folder)))
    torch.manual_seed(0)
    model = build_detector(Config.fromfile(str(config)).model)
    content = dict(state_dict=model.state_dict(), meta=dict(CLASSES=tiny.CLASSES), optimizer=dict(state={}))
    torch.save(content, folder / 'weights.pth')
    return folder
