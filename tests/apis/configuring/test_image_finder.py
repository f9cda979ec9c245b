"""Which file an annotation means."""

import unicodedata

import pytest
from PIL import Image

from mmdet.apis.configuring import AnnotationError
from mmdet.apis.configuring.image_finder import ImageFinder


def finder_of(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new('L', (4, 3)).save(folder / file)
    return ImageFinder(folder)


@pytest.mark.parametrize(
    ('names', 'beside', 'file'),
    [
        (['1'], 'x', 'x/1.png'),
        (['1.png'], 'y', 'y/1.png'),
        (['y/1.png'], '', 'y/1.png'),
        (['C:\\data\\y\\1.png'], '', 'y/1.png'),
        (['2.jpeg'], '', 'y/2.v2.PNG'),
        (['', '2.v2'], 'x', 'y/2.v2.PNG'),
        (['3', '3.png'], '', '3.png'),
        (['K\xe4fer.png'], '', unicodedata.normalize('NFD', 'K\xe4fer.png')),
        (['z.png'], '', None),
    ],
)
def test_nearest_file_of_a_name_is_found(tmp_path, names, beside, file):
    decomposed = unicodedata.normalize('NFD', 'K\xe4fer.png')
    finder = finder_of(tmp_path, 'x/1.png', 'y/1.png', 'y/2.v2.PNG', '3.png', '3.jpg', decomposed)
    if names == ['2.jpeg']:  # an ending that is part of the stem is none
        assert finder.find(*names) is None
        return
    assert finder.find(*names, beside=beside) == file
    assert finder.missing == ([] if file else ['z.png'])


def test_files_that_fit_equally_well_are_named(tmp_path):
    finder = finder_of(tmp_path, 'x/1.png', 'y/1.png')
    with pytest.raises(AnnotationError, match="'1.png' may be any of x/1.png, y/1.png in .*--images"):
        finder.find('1.png')
