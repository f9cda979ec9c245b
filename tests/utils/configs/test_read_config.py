"""Config files that cannot be read."""

import pytest

from mmdet.utils.configs.read_config import ConfigFileError, read_config


@pytest.mark.parametrize(
    ('name', 'text'),
    [('a.py', 'model = dict(\nx = 3'), ('a.yaml', 'a: [1'), ('a.json', '{"a": 1,}'), ('b.json', '{"a": ')],
)
def test_syntax_error_is_one_line_that_names_the_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigFileError, match=name) as error:
        read_config(tmp_path / name)
    message = str(error.value)
    assert '\n' not in message and 'line' in message and '/tmp/tmp' not in message


def test_syntax_error_of_a_base_is_told(tmp_path):
    (tmp_path / 'base.py').write_text('a = (')
    (tmp_path / 'b.py').write_text("_base_ = './base.py'")
    with pytest.raises(ConfigFileError, match='b.py'):
        read_config(tmp_path / 'b.py')


def test_file_without_keys_is_no_config(tmp_path):
    (tmp_path / 'a.json').write_text('[1, 2]')
    with pytest.raises(ConfigFileError, match=r'a\.json is no config: it must hold keys and their values'):
        read_config(tmp_path / 'a.json')
