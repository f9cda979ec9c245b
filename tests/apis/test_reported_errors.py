"""Which errors a command shows without the calls that led there."""

import pytest
from torch.utils.data import DataLoader, Dataset

from mmdet.apis.launch import UserError, reported_errors
from mmdet.datasets import build_dataset
from mmdet.datasets.audit.broken_images import BrokenImageError
from mmdet.models.builder import MODELS
from mmdet.utils.registry import Registry


def shown(call):
    with pytest.raises(SystemExit) as caught, reported_errors():
        call()
    return caught.value.code


def test_wrong_type_is_one_line():
    assert shown(lambda: MODELS.build(dict(type='FPNN'))).startswith("error: 'FPNN' is not in the models registry")


def test_refusal_of_a_part_of_the_tree_is_one_line_with_its_place():
    text = shown(lambda: MODELS.build(dict(type='ResNet', depth=49)))
    assert text.startswith('error: ResNet knows the depths') and '[in ResNet] (MMDET_TRACEBACK=1' in text


def test_missing_annotation_file_is_one_line_with_its_place():
    text = shown(lambda: build_dataset(dict(type='CocoDataset', ann_file='nowhere.json', pipeline=[])))
    assert text.startswith("error: CocoDataset: ann_file 'nowhere.json' is not there")


def test_error_of_a_class_of_the_user_keeps_its_calls():
    shelf = Registry('shelf')

    @shelf.register_module()
    class Mine:
        def __init__(self):
            raise ValueError('oh')

    with pytest.raises(ValueError, match=r'^oh \[in Mine\]$'), reported_errors():
        shelf.build(dict(type='Mine'))


def test_error_outside_a_config_keeps_its_calls():
    with pytest.raises(KeyError), reported_errors():
        {}['a']


def test_everything_is_shown_where_the_environment_asks_for_it(monkeypatch):
    monkeypatch.setenv('MMDET_TRACEBACK', '1')
    with pytest.raises(UserError), reported_errors():
        raise UserError('no')


def test_error_of_a_loading_process_is_one_line():
    class Broken(Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, i):
            raise BrokenImageError('a.jpg: cut off')

    assert shown(lambda: list(DataLoader(Broken(), num_workers=1))) == 'error: a.jpg: cut off'
