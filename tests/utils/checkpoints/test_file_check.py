"""Files that are no checkpoints, damaged ones and hostile ones: one sentence each, before anything is unpickled."""

import io
import zipfile

import pytest
import torch

from mmdet.utils.checkpoints.checkpoint import read_checkpoint
from mmdet.utils.checkpoints.file_check import DamagedCheckpointError, check_entries, newest_whole


@pytest.fixture
def good(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=dict(w=torch.arange(1000.0)), meta={}), path)
    return path


def rotten(content):
    place = content.index(torch.arange(1000.0).numpy().tobytes()) + 2001
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def in_directory(offset, value):
    """A change of the first entry of the zip file's directory: 8 are its flags, 46 and after its name."""

    def damage(content):
        place = content.index(b'PK\x01\x02') + offset
        return content[:place] + value + content[place + len(value) :]

    return damage


@pytest.mark.parametrize(
    ('damage', 'text'),
    [
        (in_directory(50, b'\xe9'), 'is cut off or damaged .*take an earlier checkpoint'),
        (in_directory(8, b'\x01\x00'), 'is cut off or damaged .*encrypted'),
        (lambda c: c[: len(c) // 2], 'is cut off or damaged .*take an earlier checkpoint'),
        (lambda c: c[:-1], 'is cut off or damaged'),
        (rotten, 'checksum of .*data/0 is wrong'),
        (lambda c: b'', 'is empty: it was not written to its end'),
        (lambda c: b'version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n', 'git lfs pull'),
        (lambda c: b'<!DOCTYPE html><html></html>', 'is a web page'),
        (lambda c: b'epoch: 12\n', 'is a text file'),
        (lambda c: bytes(range(256)) * 40, 'is no checkpoint'),
        (lambda c: b'\x80\x02' + bytes(1000), 'cannot be read as a checkpoint'),
    ],
)
def test_damaged_file_is_refused_with_its_name_and_the_reason(good, damage, text):
    good.write_bytes(damage(good.read_bytes()))
    with pytest.raises((DamagedCheckpointError, RuntimeError), match=f'epoch_1.pth.*{text}') as error:
        read_checkpoint(good)
    assert '\n' not in str(error.value) and 'trust' not in str(error.value)


def test_whole_files_of_both_formats_pass(good, tmp_path):
    assert read_checkpoint(good)['state_dict']['w'][7] == 7
    torch.save(dict(w=torch.ones(2)), tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    assert read_checkpoint(tmp_path / 'old.pth')['w'].tolist() == [1, 1]


def test_file_that_unpacks_to_gigabytes_is_refused_unread(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('archive/data/0', bytes(50_000_000))
    (tmp_path / 'bomb.pth').write_bytes(content.getvalue())
    with pytest.raises(DamagedCheckpointError, match='bomb.pth: .* bytes unpack to 50000000'):
        read_checkpoint(tmp_path / 'bomb.pth')


def test_lists_that_hold_one_another_many_times_are_refused(tmp_path):
    nested = [0]
    for _ in range(12):
        nested = [nested] * 10
    torch.save(dict(meta=nested), tmp_path / 'nested.pth')
    with pytest.raises(DamagedCheckpointError, match='nested.pth holds more than'):
        read_checkpoint(tmp_path / 'nested.pth')
    check_entries(dict(a=list(range(1000))), 'fine')


def test_newest_whole_checkpoint_is_found_behind_damaged_ones(good, tmp_path):
    (tmp_path / 'epoch_2.pth').write_bytes(good.read_bytes()[:100])
    path, problems = newest_whole([tmp_path / 'epoch_2.pth', good])
    assert path == good and len(problems) == 1 and 'epoch_2.pth' in problems[0]
