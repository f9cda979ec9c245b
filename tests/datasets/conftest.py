"""Small annotation files and images for the tests of data sets."""

import json

import cv2
import numpy as np
import pytest


@pytest.fixture
def write_coco(tmp_path):
    """A function that writes COCO content, and its images if asked, and gives the file's path."""

    def write(content, name='ann.json', images=False):
        path = tmp_path / name
        path.write_text(json.dumps(content))
        for info in content['images'] if images else ():
            cv2.imwrite(str(tmp_path / info['file_name']), np.zeros((info['height'], info['width'], 3), np.uint8))
        return str(path)

    return write
