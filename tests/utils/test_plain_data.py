"""Files of results: written and read as they were, and never run."""

import os
import pickle

import numpy as np
import pytest

from mmdet.utils.plain_data import PlainDataError, dump_plain, load_plain

RESULTS = [
    (
        [np.arange(10, dtype=np.float32).reshape(2, 5), np.zeros((0, 5), np.float32)],
        [[dict(size=[2, 3], counts=b'\x8f0'), dict(counts=b'')], []],
    ),
    dict(pan_results=np.arange(6).reshape(2, 3), ins_results=None, name='é', score=0.5, flag=True),
]


class Payload:
    def __reduce__(self):
        return os.mkdir, ('/tmp/mmdet_payload_ran',)


def equal(first, second):
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and first.shape == second.shape and np.array_equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return type(first) is type(second) and len(first) == len(second) and all(map(equal, first, second))
    return type(first) is type(second) and first == second


@pytest.mark.parametrize('suffix', ['.npz', '.pkl'])
def test_results_come_back_as_they_were(tmp_path, suffix):
    dump_plain(RESULTS, tmp_path / f'a{suffix}')
    assert equal(load_plain(tmp_path / f'a{suffix}'), RESULTS)


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_old_result_files_stay_readable(tmp_path, protocol):
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(RESULTS, protocol=protocol))
    assert equal(load_plain(tmp_path / 'a.pkl'), RESULTS)


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('a.pkl', pickle.dumps([Payload()])),
        ('a.yaml', b'!!python/object/apply:os.mkdir ["/tmp/mmdet_payload_ran"]'),
        ('a.yml', b'- !!python/name:os.system'),
    ],
)
def test_files_that_would_run_code_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PlainDataError, match=name):
        load_plain(tmp_path / name)
    assert not os.path.exists('/tmp/mmdet_payload_ran')


def test_npz_with_objects_is_refused(tmp_path):
    np.savez(tmp_path / 'a.npz', structure=np.array([Payload()], dtype=object))
    with pytest.raises(PlainDataError, match='a.npz is damaged'):
        load_plain(tmp_path / 'a.npz')
    with pytest.raises(PlainDataError, match='Payload is neither'):
        dump_plain([Payload()], tmp_path / 'b.npz')


@pytest.mark.parametrize('content', [b'', b'nonsense', pickle.dumps(RESULTS)[:50]])
def test_damaged_file_is_named(tmp_path, content):
    (tmp_path / 'a.pkl').write_bytes(content)
    with pytest.raises(PlainDataError, match='a.pkl'):
        load_plain(tmp_path / 'a.pkl')


def test_unknown_suffix_is_told(tmp_path):
    with pytest.raises(PlainDataError, match="'.pk'; did you mean '.pkl'"):
        load_plain(tmp_path / 'a.pk')
