"""Config files that cannot be read."""

import gc

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


BASE = "boxes = [1, 2]\nname = 'cat'\npart = dict(a=1, b=dict(c=2))\n"
REFUSED = [
    ('y = {{ _base_.boxes }} + [3]', 'line 2: {{ _base_.boxes }} is put in after'),
    ('y = {{_base_.boxes}} * 2', 'line 2: {{ _base_.boxes }} is put in after'),
    ("y = {{_base_.name}} + 's'", 'line 2: {{ _base_.name }} is put in after'),
    ('y = 1\nz = {{_base_.boxes}}[0]', 'line 3: {{ _base_.boxes }} is put in after'),
    ('y = dict(**{{_base_.part}})', 'line 2: {{ _base_.part }} is put in after'),
    ('y = {**{{_base_.part.b}}}', 'line 2: {{ _base_.part.b }} is put in after'),
    ('y = {{_base_.part}}.b', 'line 2: {{ _base_.part }} is put in after'),
    ('y = dict({{_base_.part}}, d=3)', 'line 2: {{ _base_.part }} is put in after'),
    ('y = [i for i in {{_base_.boxes}}]', 'line 2: {{ _base_.boxes }} is put in after'),
    ('y = { {{_base_.name}}: 1}', 'line 2: {{ _base_.name }} is put in after'),
    ("y = '{{_base_.name}}/x'", 'line 2: {{ _base_.name }} is put in after'),
    ('q = {{_base_.boxes}}\ny = q[0]', 'line 3: {{ _base_.boxes }} is put in after'),
    ('y = {{_base_.nam}}', "line 2: {{ _base_.nam }}: its _base_ has no 'nam'"),
    ("y = '{{ fileDirnam }}/x'", "{{ fileDirnam }} stands for nothing; did you mean 'fileDirname'"),
    ('y = 1\nz = foo', "line 3: NameError: name 'foo' is not defined; names of _base_ are not known here"),
    ('y = 1 / 0', 'line 2: ZeroDivisionError: division by zero'),
    ('import nowhere_module', "line 2: ModuleNotFoundError: No module named 'nowhere_module'"),
    ("text = 'x'", 'text is reserved for config file; give it another name'),
]


@pytest.mark.parametrize(('lines', 'says'), REFUSED, ids=[lines for lines, _ in REFUSED])
def test_what_cannot_be_run_is_told_with_file_and_line(tmp_path, lines, says):
    (tmp_path / 'base.py').write_text(BASE)
    (tmp_path / 'middle.py').write_text(f"_base_ = 'base.py'\n{lines}\n")
    (tmp_path / 'a.py').write_text("_base_ = ['middle.py']\n")
    named = 'a.py' if 'reserved' in says else 'middle.py'
    with pytest.raises(ConfigFileError) as error:
        read_config(tmp_path / 'a.py')
    message = str(error.value)
    assert str(tmp_path / named) in message and says in message and '\n' not in message and '/tmp/tmp' not in message


def test_references_are_whole_values_anywhere(tmp_path):
    (tmp_path / 'base.py').write_text(BASE)
    (tmp_path / 'a.py').write_text(
        '"""Not {{ _base_.boxes }} here."""\n_base_ = \'base.py\'\nq = {{_base_.part.b.c}}\n'
        'y = dict(a={{ _base_.boxes }}, b=[{{_base_.name}}, q], c={"d": {{_base_.part}}}, e=({{_base_.name}}, 1))\n'
        'q = [1]\nz = q[0]\nstem = "{{ fileBasenameNoExtension }}"\n'
    )
    (tmp_path / 'b.json').write_text('{"_base_": "base.py", "y": {{ _base_.boxes }}}')
    (tmp_path / 'c.yaml').write_text('_base_: [base.py]\ny: {{ _base_.part }}\nz: !!python/tuple [1, 2]\n')
    part = dict(a=1, b=dict(c=2))
    cfg = read_config(tmp_path / 'a.py')
    assert cfg.y == dict(a=[1, 2], b=['cat', 2], c=dict(d=part), e=('cat', 1)) and (cfg.z, cfg.stem) == (1, 'a')
    assert read_config(tmp_path / 'b.json').y == [1, 2] and read_config(tmp_path / 'c.yaml').y == part
    assert read_config(tmp_path / 'c.yaml').z == (1, 2)


@pytest.mark.parametrize(
    ('base', 'says'),
    [
        ("'bas.py'", "b.py: there is no file .*/bas.py .*did you mean 'base.py'"),
        ("'.'", 'b.py: there is no file'),
        ('[3]', 'b.py: _base_ must be the path of a config or a list of such, got 3'),
        ("'b.py'", 'b.py: its _base_ leads back to .*b.py -> .*b.py'),
        ("['base.py', 'c.py']", 'c.py: its _base_ leads back to .*b.py -> .*c.py -> .*b.py'),
        ("'damaged.py'", 'damaged.py cannot be read: .*line 1'),
        ("['base.py', 'base.json']", 'b.py does not fit to its _base_: Duplicate key'),
        ("'weights.pth'", 'weights.pth is no config'),
    ],
)
def test_bases_that_are_none_are_told(tmp_path, base, says):
    files = {'base.py': BASE, 'base.json': '{"name": 1}', 'c.py': "_base_ = 'b.py'", 'damaged.py': 'a = ('}
    files |= {'weights.pth': '', 'b.py': f'_base_ = {base}\n'}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigFileError, match=says):
        read_config(tmp_path / 'b.py')


def test_reference_without_a_base_is_told(tmp_path):
    (tmp_path / 'a.py').write_text('y = {{ _base_.x }}\n')
    with pytest.raises(ConfigFileError, match=r'line 1: .* is asked for, and the file has no _base_'):
        read_config(tmp_path / 'a.py')


def test_failing_config_leaves_no_complaint_of_its_copy(tmp_path, recwarn):
    (tmp_path / 'a.py').write_text('y = 1 / 0\n')
    with pytest.raises(ConfigFileError):
        read_config(tmp_path / 'a.py')
    gc.collect()  # pytest makes a warning of what a finaliser raises
    assert not recwarn.list


def test_file_without_keys_is_no_config(tmp_path):
    (tmp_path / 'a.json').write_text('[1, 2]')
    with pytest.raises(ConfigFileError, match=r'a\.json is no config: it must hold keys and their values'):
        read_config(tmp_path / 'a.json')
