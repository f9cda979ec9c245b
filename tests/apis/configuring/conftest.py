"""A folder of small images."""

import numpy as np
import pytest
from odd_annotations import H, W
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    """A folder with the images a, b, c."""
    for name in 'abc':
        Image.fromarray(np.zeros((H, W, 3), np.uint8)).save(tmp_path / f'{name}.png')
    return tmp_path
