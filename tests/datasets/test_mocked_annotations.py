"""Data sets of users, and of tests, whose ``load_annotations`` reads no file."""

from unittest.mock import MagicMock

import pytest

from mmdet.datasets import CityscapesDataset, CocoDataset, VOCDataset


@pytest.mark.parametrize('kind', [CocoDataset, CityscapesDataset, VOCDataset])
@pytest.mark.parametrize('classes', [('bus', 'car'), ['bus', 'car'], ['foo'], None, 'file'])
def test_classes_override_the_default_without_an_annotation_file(kind, classes, monkeypatch, tmp_path):
    monkeypatch.setattr(kind, 'load_annotations', MagicMock())
    expected = kind.CLASSES if classes is None else classes
    if classes == 'file':
        (tmp_path / 'classes.txt').write_text('bus\ncar\n')
        classes, expected = str(tmp_path / 'classes.txt'), ['bus', 'car']
    dataset = kind(
        ann_file=MagicMock(), pipeline=[], classes=classes, test_mode=True, img_prefix='VOC2007' * (kind is VOCDataset)
    )
    assert expected == dataset.CLASSES
    assert kind.__name__ in repr(dataset)
