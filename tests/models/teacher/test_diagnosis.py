"""Hidden labels against pseudo objects."""

import json

import numpy as np
import pytest
import torch

from mmdet.models.teacher import Counts, Diagnosis
from mmdet.models.teacher.detections import Annotated, Detections

CONTENT = dict(
    images=[dict(id=1, file_name='sub/a.png', width=100, height=50)],
    categories=[dict(id=3, name='dog'), dict(id=4, name='cat'), dict(id=9, name='other')],
    annotations=[
        dict(id=1, image_id=1, category_id=4, bbox=[0, 0, 10, 10], iscrowd=0),
        dict(id=2, image_id=1, category_id=3, bbox=[20, 20, 10, 10], iscrowd=0),
        dict(id=3, image_id=1, category_id=3, bbox=[60, 20, 20, 10], iscrowd=0),
        dict(id=4, image_id=1, category_id=9, bbox=[0, 0, 9, 9], iscrowd=0),
    ],
)
META = dict(
    filename='/data/a.png', scale_factor=np.array([2.0, 2, 2, 2], np.float32), img_shape=(100, 200, 3), flip=False
)


@pytest.fixture
def diagnosis(tmp_path):
    path = tmp_path / 'complete.json'
    path.write_text(json.dumps(CONTENT))
    return Diagnosis(str(path), ['cat', 'dog'])


def test_truth_follows_scale_and_flip(diagnosis):
    boxes, labels = diagnosis.truth(META)
    assert labels.tolist() == [0, 1, 1] and boxes[0].tolist() == [0, 0, 20, 20]
    flipped, _ = diagnosis.truth({**META, 'flip': True, 'flip_direction': 'horizontal'})
    assert flipped[0].tolist() == [180, 0, 200, 20]
    with pytest.raises(KeyError, match="no image 'b.png'"):
        diagnosis.truth({**META, 'filename': 'b.png'})


def test_judge_by_hand(diagnosis, tmp_path):
    rows = torch.tensor([[40.0, 40, 60, 60, 0.9, 1], [120, 40, 160, 60, 0.8, 0], [0, 80, 9, 99, 0.7, 1]])
    objects = Detections(rows[:, :4], rows[:, 4], rows[:, 5].long(), None)  # right, of a wrong class, of nothing
    annotated = Annotated(torch.tensor([[0.0, 0, 20, 20]]), torch.tensor([0]), torch.zeros(0, 4))
    counts = Counts(2)
    diagnosis.judge(counts, objects, annotated, torch.ones(2, dtype=torch.bool), META)
    assert [float(counts[name]) for name in ('judged', 'right', 'missing', 'hit')] == [3, 1, 2, 1]
    with pytest.raises(ValueError, match="has none of the classes \\['bird'\\]"):
        Diagnosis(str(tmp_path / 'complete.json'), ['bird'])
