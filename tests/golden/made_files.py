"""Small annotation files for the golden cases of data sets."""

import json
import os
import pickle
import tempfile

import numpy as np
from pycocotools import mask as coco_mask


def coco_file(content):
    """Path of a temporary .json with the content."""
    handle, path = tempfile.mkstemp(suffix='.json')
    with os.fdopen(handle, 'w') as file:
        json.dump(content, file)
    return path


def custom_file(infos):
    """Path of a temporary .pkl with a list of image infos."""
    handle, path = tempfile.mkstemp(suffix='.pkl')
    with os.fdopen(handle, 'wb') as file:
        pickle.dump(infos, file)
    return path


def encode(per_class):
    """Lists of masks by class -> lists of run-length encodings."""
    return [[coco_mask.encode(np.asfortranarray(m, dtype=np.uint8)) for m in masks] for masks in per_class]
