"""Annotations that the processes of a machine hold once."""

import copy
import gc
import multiprocessing
import os
import pickle
import signal
import tempfile
import time
from pathlib import Path

import pytest
import torch.distributed as dist
import torch.multiprocessing as mp

from mmdet.datasets.memory.shared_list import SharedList
from mmdet.datasets.memory.shared_memory import _add_number, hold_once

pytestmark = pytest.mark.skipif(not Path('/proc/self/smaps_rollup').exists(), reason='asks Linux for memory')
ITEMS = 60, 300_000  # number, bytes each: 18 MB


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder for temporary files."""
    (tmp_path / 'temporary').mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'temporary'))
    return tmp_path / 'temporary'


def made(i: int) -> dict:
    return dict(number=i, content=bytes([i]) * ITEMS[1])


def private_mb() -> float:
    lines = (line.split() for line in Path('/proc/self/smaps_rollup').read_text().splitlines()[1:])
    return sum(int(kb) for name, kb, *_ in lines if name.startswith('Private')) / 1024


def join(rank: int, meet: str) -> None:
    os.environ['LOCAL_WORLD_SIZE'] = '2'
    dist.init_process_group('gloo', init_method=f'file://{meet}', rank=rank, world_size=2)


def hold_and_read(rank: int, folder: str, meet: str) -> None:
    join(rank, meet)
    before = private_mb()
    shared = SharedList(made(i) for i in range(ITEMS[0]))
    dist.barrier()
    assert not os.listdir(folder), 'no name is left once both have it'
    assert all(shared[i] == made(i) for i in range(len(shared))) and len(shared) == ITEMS[0]
    dist.barrier()  # both have read it all, none has let go
    grown, files = private_mb() - before, [None, None]
    dist.all_gather_object(files, (os.fstat(shared._block._descriptor).st_ino, shared.num_bytes))
    assert files[0] == files[1] and files[0][1] > ITEMS[0] * ITEMS[1]
    assert grown < 5, f'rank {rank}: {grown:.1f} MB of its own'
    dist.destroy_process_group()


def test_two_processes_of_a_machine_hold_one_copy(folder, tmp_path):
    mp.start_processes(hold_and_read, (str(folder), str(tmp_path / 'meet')), nprocs=2, start_method='fork')
    assert not os.listdir(folder)


def one_fails(rank: int, meet: str) -> None:
    join(rank, meet)
    if rank == 0:
        with pytest.raises(ZeroDivisionError):
            SharedList(1 // i for i in (1, 0))
    else:
        assert list(SharedList([1, 2])) == [1, 2]  # waits for nobody
    dist.destroy_process_group()


def test_a_process_that_fails_holds_up_no_other(folder, tmp_path):
    mp.start_processes(one_fails, (str(tmp_path / 'meet'),), nprocs=2, start_method='fork')
    assert not os.listdir(folder)


def test_other_content_is_another_file_and_the_name_goes_with_the_last_process(folder):
    first, same, other = (hold_once([part, b'c'], 3) for part in (b'ab', b'ab', b'bb'))
    assert bytes(first.numpy()) == bytes(same.numpy()) == b'abc' and bytes(other.numpy()) == b'bbc'
    assert len(os.listdir(folder)) == 2  # the third process did not come
    assert os.path.samestat(os.fstat(first._descriptor), os.fstat(same._descriptor))
    content = first.numpy()
    del first, same, other
    gc.collect()
    assert not os.listdir(folder) and bytes(content) == b'abc'


def test_copies_are_private(folder):
    block = hold_once([b'abc'], 1)
    for made_of in (copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        assert bytes(made_of.numpy()) == b'abc' and made_of._descriptor != block._descriptor


def read_in_child(shared: SharedList, inode: int) -> None:
    assert shared[1] == 'b' and os.fstat(shared._block._descriptor).st_ino == inode


def test_spawned_processes_get_the_same_file(folder, monkeypatch):
    monkeypatch.setattr('mmdet.datasets.memory.shared_list.processes_of_machine', lambda: 2)
    shared = SharedList(['a', 'b'])
    inode = os.fstat(shared._block._descriptor).st_ino
    child = multiprocessing.get_context('spawn').Process(target=read_in_child, args=(shared, inode))
    child.start()
    child.join()
    assert child.exitcode == 0


def killed_while_writing() -> None:
    def parts():
        yield b'ab'
        os.kill(os.getpid(), signal.SIGKILL)

    hold_once(parts(), 2)


def killed_before_the_other_came() -> None:
    block = hold_once([b'abc'], 2)
    os.kill(os.getpid(), signal.SIGKILL)
    del block


@pytest.mark.parametrize('end', [killed_while_writing, killed_before_the_other_came])
def test_left_overs_of_killed_processes_go_with_the_next_run_but_files_in_use_stay(folder, end):
    child = multiprocessing.get_context('fork').Process(target=end)
    child.start()
    child.join()
    in_use = hold_once([b'in use'], 2)
    names = os.listdir(folder)
    assert len(names) == 2
    for name in names:
        os.utime(folder / name, (time.time() - 3600,) * 2)
    next_run = hold_once([b'next'], 1)  # one process only: its own name is gone at once
    left = os.listdir(folder)
    assert len(left) == 1 and (folder / left[0]).read_bytes().startswith(b'in use')
    del in_use, next_run


def test_no_room_is_an_error_that_names_the_folder(folder, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(folder / 'missing'))
    with pytest.raises(OSError, match=r'share_annotations: .*missing.*TMPDIR'):
        hold_once([b'abc'], 2)


def test_a_file_of_another_user_is_refused(folder, monkeypatch):
    block = hold_once([b'abc'], 2)
    name = os.listdir(folder)[0]
    assert (folder / name).stat().st_mode & 0o77 == 0
    stranger = os.getuid() + 1
    monkeypatch.setattr(os, 'getuid', lambda: stranger)
    os.rename(folder / name, folder / name.replace(f'-{stranger - 1}-', f'-{stranger}-'))
    with pytest.raises(OSError, match='another user'):
        hold_once([b'abc'], 2)
    del block


def test_a_name_that_is_another_file_by_now_stays(folder):
    block = hold_once([b'abc'], 3)
    (name,) = os.listdir(folder)
    os.unlink(folder / name)  # as a left-over
    (folder / name).write_bytes(b'abc of a later run')
    _add_number(block._descriptor, folder / name, 3, 1)
    del block
    assert (folder / name).exists()
