"""Names of outputs: inside their folder, one for each input, never an input."""

import pytest

from mmdet.utils.output_paths import OutputPathError, OutputPaths


@pytest.mark.parametrize(
    ('name', 'wanted'),
    [
        ('a.jpg', 'a.jpg'),
        ('day/a.jpg', 'day/a.jpg'),
        ('../../etc/a.jpg', 'etc/a.jpg'),
        ('day/../../a.jpg', 'day/a.jpg'),
        ('/data/day/a.jpg', 'data/day/a.jpg'),
        ('C:\\data\\a.jpg', 'data/a.jpg'),
        ('..', 'image'),
    ],
)
def test_output_lies_inside_the_folder(tmp_path, name, wanted):
    assert OutputPaths(tmp_path)(name) == tmp_path / wanted


def test_equal_names_get_numbers_and_none_is_lost(tmp_path):
    paths = OutputPaths(tmp_path)
    assert [paths(name).name for name in ('a.jpg', 'a.jpg', './a.jpg', 'a_1.jpg')] == [
        'a.jpg',
        'a_1.jpg',
        'a_2.jpg',
        'a_1_1.jpg',
    ]


def test_names_below_the_root_are_relative_to_it(tmp_path):
    paths = OutputPaths(tmp_path / 'out', root=tmp_path / 'in')
    assert paths(tmp_path / 'in/day/a.jpg') == tmp_path / 'out/day/a.jpg'


def test_endings_replace_the_suffix_or_stand_before_it(tmp_path):
    paths = OutputPaths(tmp_path)
    assert paths('day/a.b.jpg', ending='_0.5').name == 'a.b_0.5.jpg' and paths('a.jpg', ending='.png').name == 'a.png'


def test_output_that_is_its_input_is_refused(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path)
    with pytest.raises(OutputPathError, match='a.jpg is an input'):
        OutputPaths(tmp_path)('link/a.jpg', source=tmp_path / 'a.jpg')


def test_output_that_is_any_other_input_is_refused(tmp_path):
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path / 'photos')
    files = {str(tmp_path / 'a.png'): 'a.png', str(tmp_path / 'photos/b.jpg'): '../photos/b.jpg'}
    paths = OutputPaths(tmp_path / 'link', inputs=files)
    assert paths('a.png', tmp_path / 'a.png') == tmp_path / 'link/a.png'
    with pytest.raises(OutputPathError, match='link/b.jpg is an input'):
        paths('b.png', tmp_path / 'a.png', ending='.jpg')


def test_pictures_that_would_replace_images_are_refused_before_the_first(tmp_path):
    files = {str(tmp_path / 'in/a.png'): 'a.png', str(tmp_path / 'out/a.png'): str(tmp_path / 'out/a.png')}
    with pytest.raises(OutputPathError, match='out/a.png is an input'):
        OutputPaths.of_pictures(tmp_path / 'out', files)
    assert not list(tmp_path.iterdir())
    paths = OutputPaths.of_pictures(tmp_path / 'new', files)
    assert [paths(name).name for name in ('a.png', 'a.png')] == ['a.png', 'a_1.png']
