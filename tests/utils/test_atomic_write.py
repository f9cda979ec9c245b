"""Files are the old ones or the whole new ones."""

import os

import pytest

from mmdet.utils import atomic_write


@pytest.mark.parametrize('shared', [False, True])
@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_failure_in_the_middle_leaves_what_was_there(tmp_path, error, shared):
    path = tmp_path / 'a.txt'
    for before in (False, True):
        if before:
            path.write_text('old')
        with pytest.raises(error), atomic_write(path, shared=shared) as file:
            file.write('half of ')
            file.flush()
            assert len(os.listdir(tmp_path)) == 1 + before  # beside the target, so that a rename is enough
            raise error
        assert os.listdir(tmp_path) == ['a.txt'] * before
    assert path.read_text() == 'old'


def test_failing_disk_or_rename_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    for name in ('fsync', 'replace'):

        def full(*args):
            raise OSError('no space left')

        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(OSError, match='no space'), atomic_write(path) as file:
                file.write('new')
        assert os.listdir(tmp_path) == ['a.txt'] and path.read_text() == 'old'


def test_content_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    order, sync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, 'fsync', lambda number: (order.append('sync'), sync(number)))
    monkeypatch.setattr(os, 'replace', lambda *names: (order.append('rename'), replace(*names)))
    with atomic_write(tmp_path / 'new/folder/a.bin', 'wb') as file:
        file.write(b'\x00\r\n')
    assert order == ['sync', 'rename', 'sync']
    assert (tmp_path / 'new/folder/a.bin').read_bytes() == b'\x00\r\n'


def test_processes_may_share_a_file(tmp_path):
    path = tmp_path / 'a.txt'
    with atomic_write(path, shared=True, encoding='utf-8') as mine:
        child = os.fork()
        if child == 0:
            with atomic_write(path, shared=True) as theirs:
                theirs.write('theirs')
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert path.read_text() == 'theirs'
        mine.write('mine é')
    assert path.read_text(encoding='utf-8') == 'mine é' and os.listdir(tmp_path) == ['a.txt']
