import contextlib
from types import SimpleNamespace

import mmcv
import pytest

from mmdet.datasets.formats.fetched_file import load_fetched, under


@pytest.mark.parametrize(
    ('root', 'path', 'joined'),
    [
        ('data', 'a.json', 'data/a.json'),
        ('data', '/a.json', '/a.json'),
        (None, 'a.json', 'a.json'),
        ('data', None, None),
    ],
)
def test_relative_paths_lie_under_the_root(root, path, joined):
    assert under(root, path) == joined


def test_a_client_without_local_paths_leaves_the_path_to_the_loader():
    client = SimpleNamespace(client=object())
    assert load_fetched(client, 'a.json', str.upper, 'missing') == 'A.JSON'


def test_fetched_copies_are_loaded_and_let_go():
    events = []

    @contextlib.contextmanager
    def local_path(path):
        yield f'/tmp/copy of {path}'
        events.append('gone')

    client = SimpleNamespace(client=SimpleNamespace(get_local_path=None), get_local_path=local_path)
    assert load_fetched(client, 'a.json', lambda path: (path, list(events)), '') == ('/tmp/copy of a.json', [])
    assert events == ['gone']


def test_a_missing_file_is_named_but_one_that_the_loader_opens_keeps_its_own_message(tmp_path):
    client, path = mmcv.FileClient(backend='disk'), str(tmp_path / 'a.json')
    with pytest.raises(FileNotFoundError, match='ann_file is not there'):
        load_fetched(client, path, open, 'ann_file is not there')
    with pytest.raises(FileNotFoundError, match='other'):
        load_fetched(client, path, lambda _: (tmp_path / 'other').read_text(), 'ann_file is not there')
