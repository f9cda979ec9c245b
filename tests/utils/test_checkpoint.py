import enum
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.runner.checkpoint import load_checkpoint as mmcv_load_checkpoint
from torch import nn

from mmdet.ops import ModulatedDeformConv2dPack
from mmdet.utils.checkpoints import checkpoint_io
from mmdet.utils.checkpoints.checkpoint import (
    UnsafeCheckpointError,
    load_checkpoint,
    load_state_dict,
    save_checkpoint,
    trust_checkpoints,
)
from mmdet.utils.checkpoints.checkpoint_io import plain, point_latest, write_file
from mmdet.utils.checkpoints.weight_sources import DownloadError, cached_file, torchvision_url
from mmdet.utils.errors import ReportedError


class Odd:
    """What a checkpoint of old code may hold."""


class Colour(str, enum.Enum):
    RED = 'red'


def two_layers(width=3):
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, width))


def test_saved_checkpoint_loads_as_weights_only_and_gives_back_values(tmp_path):
    model, path = two_layers(), tmp_path / 'a.pth'
    model.CLASSES = ('cat', 'dog')
    meta = dict(score=np.float64(0.25), epoch=np.int64(3), best=Path('x/y'), array=np.arange(3), colour=Colour.RED)
    save_checkpoint(model, path, torch.optim.SGD(model.parameters(), 0.1), meta)
    content = torch.load(path, weights_only=True)
    got = content['meta']
    assert (got['score'], got['epoch'], got['best'], got['colour']) == (0.25, 3, 'x/y', 'red')
    assert type(got['score']) is float and type(got['epoch']) is int and type(got['colour']) is str
    assert got['CLASSES'] == ('cat', 'dog') and got['array'].tolist() == [0, 1, 2]
    other = two_layers()
    load_checkpoint(other, path, strict=True)
    assert torch.equal(other[1].weight, model[1].weight)


def test_plain_turns_an_unknown_object_into_its_text_with_a_warning(caplog):
    assert plain({'a': [Odd]})['a'] == [repr(Odd)]
    assert 'saved as its text' in caplog.text


def test_plain_keeps_versions_of_a_state_dict():
    state = nn.BatchNorm2d(2).state_dict()
    assert plain(state)._metadata[''] == {'version': 2}


def test_file_with_code_is_refused_with_the_option_that_allows_it(tmp_path):
    path = tmp_path / 'old.pth'
    torch.save({'state_dict': two_layers().state_dict(), 'meta': {'odd': Odd()}}, path)
    with pytest.raises(UnsafeCheckpointError, match='--trust-checkpoint.*trust_checkpoint=True') as error:
        load_checkpoint(two_layers(), path)
    assert 'Odd' in str(error.value)
    assert isinstance(load_checkpoint(two_layers(), path, trusted=True)['meta']['odd'], Odd)
    with pytest.raises(UnsafeCheckpointError):
        load_checkpoint(two_layers(), path)


def test_trust_for_a_block_does_not_take_away_what_the_process_allows(monkeypatch):
    monkeypatch.setattr(checkpoint_io, '_trusted', [True])
    with trust_checkpoints(False):
        assert checkpoint_io._trusted == [True]


def test_mmcv_loading_goes_the_same_safe_way(tmp_path):
    path = tmp_path / 'old.pth'
    torch.save({'state_dict': {}, 'odd': Odd()}, path)
    with pytest.raises(UnsafeCheckpointError):
        mmcv_load_checkpoint(two_layers(), str(path))


def test_report_counts_missing_unexpected_and_mismatched():
    state = two_layers().state_dict()
    state['rpn_my_cls.weight'] = torch.zeros(1)
    del state['0.bias']
    report = load_state_dict(two_layers(width=5), state)
    assert report.missing == ['0.bias'] and report.unexpected == ['rpn_my_cls.weight']
    assert report.mismatched == ['1.weight: file (3, 2), model (5, 2)', '1.bias: file (3,), model (5,)']
    assert report.loaded == ['0.weight']
    text = report.text('f.pth')
    assert '1 tensors loaded from f.pth' in text and '2 of another shape or kind' in text


def test_prefix_of_data_parallel_models_is_stripped(tmp_path):
    model, path = two_layers(), tmp_path / 'ddp.pth'
    torch.save(OrderedDict((f'module.{k}', v) for k, v in model.state_dict().items()), path)
    other = two_layers()
    load_checkpoint(other, path, strict=True)
    assert torch.equal(other[0].weight, model[0].weight)


@pytest.mark.parametrize('strict', [True, False])
def test_checkpoint_of_another_model_is_an_error(tmp_path, strict):
    path = tmp_path / 'other.pth'
    save_checkpoint(nn.Conv2d(1, 1, 1), path)
    with pytest.raises(RuntimeError, match='strict loading failed' if strict else 'no tensor of'):
        load_checkpoint(two_layers(), path, strict=strict)


def test_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    write_file({'x': 1}, path)

    def half_written(content, file):
        file.write(b'half')
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, 'save', half_written)
    with pytest.raises(KeyboardInterrupt):
        write_file({'x': 2}, path)
    assert torch.load(path, weights_only=True) == {'x': 1}
    assert os.listdir(tmp_path) == ['a.pth']


def test_kill_in_the_middle_of_a_write_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / 'a.pth'
    write_file({'x': 1}, path)
    child = os.fork()
    if child == 0:
        torch.save = lambda content, file: (file.write(b'half'), file.flush(), os._exit(9))
        write_file({'x': 2}, path)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert torch.load(path, weights_only=True) == {'x': 1}
    write_file({'x': 3}, path)
    assert torch.load(path, weights_only=True) == {'x': 3} and os.listdir(tmp_path) == ['a.pth']


@pytest.mark.parametrize('links', [True, False])
def test_latest_means_the_newest_file_with_and_without_links(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(Path, 'symlink_to', lambda self, target: (_ for _ in ()).throw(OSError('no links')))
    for epoch in (1, 2):
        write_file({'epoch': epoch}, tmp_path / f'epoch_{epoch}.pth')
        point_latest(tmp_path / f'epoch_{epoch}.pth')
        assert torch.load(tmp_path / 'latest.pth', weights_only=True) == {'epoch': epoch}
    assert (tmp_path / 'latest.pth').is_symlink() == links


def test_torchvision_names_give_the_first_or_the_named_weights():
    first = torchvision_url('resnet50')
    assert first == torchvision_url('ResNet50_Weights.IMAGENET1K_V1') != torchvision_url('resnet50.imagenet1k_v2')
    with pytest.raises(KeyError, match="did you mean 'resnet50'"):
        torchvision_url('resnet5O')
    with pytest.raises(KeyError, match='imagenet1k_v2'):
        torchvision_url('resnet50.v9')


def test_torchvision_scheme_reads_the_cached_file(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    model = two_layers()
    write_file(model.state_dict(), cached_file(torchvision_url('resnet18')))
    other = two_layers()
    mmcv_load_checkpoint(other, 'torchvision://resnet18')
    assert torch.equal(other[0].weight, model[0].weight)


def test_missing_network_and_gone_host_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))

    def no_network(*args, **kwargs):
        raise OSError('no route')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', no_network)
    with pytest.raises(DownloadError, match='no route.*put the file at .*resnet18'):
        load_checkpoint(two_layers(), 'torchvision://resnet18')
    assert issubclass(DownloadError, ConnectionError) and issubclass(DownloadError, ReportedError)
    with pytest.raises(DownloadError, match='host of open-mmlab:// weights .* is gone.*resnet50_msra-5891d200.pth'):
        load_checkpoint(two_layers(), 'open-mmlab://detectron2/resnet50_caffe')


def test_file_without_a_dict_and_missing_file_are_named(tmp_path):
    torch.save([1], tmp_path / 'list.pth')
    with pytest.raises(TypeError, match='holds a list'):
        load_checkpoint(two_layers(), tmp_path / 'list.pth')
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        load_checkpoint(two_layers(), tmp_path / 'nowhere.pth')


def test_odd_object_is_really_refused_by_torch(tmp_path):
    torch.save(Odd(), tmp_path / 'odd.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'odd.pth', weights_only=True)


def test_layers_rename_the_parameters_of_old_checkpoints():
    def block():
        model = nn.Module()
        model.conv2 = ModulatedDeformConv2dPack(2, 2, 3)
        return model

    source, model = block(), block()
    nn.init.normal_(source.conv2.conv_offset.weight)
    old = {k.replace('conv2.conv_offset', 'conv2_offset'): v for k, v in source.state_dict().items()}
    assert load_state_dict(model, old).exact
    assert torch.equal(model.conv2.conv_offset.weight, source.conv2.conv_offset.weight)
    assert 'conv2_offset.weight' in old  # the caller's dict stays as it was
