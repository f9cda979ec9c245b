"""Which errors a command shows without the calls that led there."""

import logging
import re
from types import SimpleNamespace

import pytest
from mmcv import Config
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mmdet.apis.launch import UserError, reported_errors
from mmdet.core.hook import TextLoggerHook
from mmdet.datasets import build_dataset
from mmdet.datasets.audit.broken_images import BrokenImageError
from mmdet.models.builder import MODELS
from mmdet.utils.atomic_write import atomic_write
from mmdet.utils.configs.read_config import read_config
from mmdet.utils.registry import Registry
from mmdet.utils.running.run_lock import run_lock
from mmdet.utils.running.runner import build_runner


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


def test_file_whose_name_a_folder_has_is_named_and_not_its_temporary_one(tmp_path):
    (tmp_path / 'report.html').mkdir()

    def write():
        with atomic_write(tmp_path / 'report.html') as file:
            file.write('text')

    assert shown(write) == f'error: {tmp_path}/report.html is a folder, and a file is wanted there'


def test_error_of_a_class_of_the_user_keeps_its_calls():
    shelf = Registry('shelf')

    @shelf.register_module()
    class Mine:
        def __init__(self):
            raise ValueError('oh')

    with pytest.raises(ValueError, match=r'^oh \[in Mine\]$'), reported_errors():
        shelf.build(dict(type='Mine'))


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        (dict(feat_channels=-1), 'RuntimeError: Trying to create tensor with negative dimension'),
        (dict(loss_cls=[]), "AttributeError: 'list' object has no attribute 'get'"),
    ],
)
def test_value_that_ends_in_an_error_of_torch_or_python_is_one_line_with_its_place(change, text):
    head = dict(type='RetinaHead', num_classes=2, in_channels=8, stacked_convs=1)
    said = shown(lambda: MODELS.build(dict(head, **change)))
    assert said.startswith(f'error: {text}') and '[in RetinaHead] (MMDET_TRACEBACK=1' in said


def test_error_of_torch_in_a_class_of_the_user_keeps_its_calls():
    shelf = Registry('shelf')

    @shelf.register_module()
    class Mine:
        def __init__(self):
            nn.Conv2d(1, -1, 1)

    with pytest.raises(RuntimeError, match='negative dimension'), reported_errors():
        shelf.build(dict(type='Mine'))


def test_error_outside_a_config_keeps_its_calls():
    with pytest.raises(KeyError), reported_errors():
        {}['a']


def test_further_kinds_of_a_command_are_one_line(monkeypatch):
    with pytest.raises(SystemExit) as caught, reported_errors(KeyError, ValueError):
        raise ValueError('a.txt: no number')
    assert caught.value.code == 'error: a.txt: no number (MMDET_TRACEBACK=1 shows the calls)'
    with pytest.raises(TypeError), reported_errors(KeyError, ValueError):
        raise TypeError('of our own')
    monkeypatch.setenv('MMDET_TRACEBACK', '1')
    with pytest.raises(ValueError, match='a.txt'), reported_errors(ValueError):
        raise ValueError('a.txt: no number')


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


def test_work_dir_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / 'file').touch()

    def start():
        with run_lock(tmp_path / 'file/work'):
            pass

    assert shown(start) == f'error: {tmp_path}/file/work: Not a directory; checkpoints that were whole before stay'


def test_json_log_that_the_disk_does_not_take_is_one_line():
    hook = TextLoggerHook()
    hook.json_log_path = '/dev/full'
    text = shown(lambda: hook._dump_log(dict(mode='train', loss=1.0), SimpleNamespace(rank=0)))
    assert text == 'error: /dev/full: No space left on device; checkpoints that were whole before stay'


def raised(error):
    raise error


@pytest.mark.parametrize(
    ('error', 'text'),
    [
        (OSError(28, 'No space left on device'), 'a file that was written: No space left on device; checkpoints that'),
        (OSError(39, 'Directory not empty', 'a'), r'a: Directory not empty \(MMDET_TRACEBACK=1 shows the calls\)'),
        (FileExistsError(17, 'File exists', 'work'), 'work is a file, and a folder is wanted there$'),
        (MemoryError(), r'the memory of the machine is used up: take fewer data.workers_per_gpu, .* \(MemoryError\)'),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            'the memory of the mach',
        ),
        (RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. '), 'a loading process has been killed'),
        (RuntimeError('DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that'), '.*/dev/shm'),
        (OSError('[Errno 24] Too many open files'), r'too many files are open: .*ulimit -n'),
    ],
)
def test_fault_of_the_machine_is_one_line_that_says_what_to_do(error, text):
    assert re.match(f'error: {text}', shown(lambda: raised(error)))


def test_fault_of_the_disk_that_a_registry_has_wrapped_is_one_line(tmp_path):
    (tmp_path / 'file').touch()
    runner, model = dict(type='EpochBasedRunner', max_epochs=1), nn.Linear(1, 1)
    model.train_step = print
    parts = dict(model=model, work_dir=str(tmp_path / 'file/work'), logger=logging.getLogger('mmdet'))
    text = shown(lambda: build_runner(runner, parts))
    assert text == f'error: {tmp_path}/file/work: Not a directory; checkpoints that were whole before stay'


def test_key_that_a_config_lacks_is_named():
    assert shown(lambda: Config(dict(model=dict())).data.train).startswith("error: the config has no 'data' where it")
    assert shown(lambda: Config(dict(model=dict())).model.backbone).startswith("error: the config has no 'backbone'")


def test_file_that_is_no_config_is_one_line(tmp_path):
    (tmp_path / 'weights.pth').touch()
    text = shown(lambda: read_config(tmp_path / 'weights.pth'))
    assert 'weights.pth is no config, which ends in .py' in text and 'another order' in text
