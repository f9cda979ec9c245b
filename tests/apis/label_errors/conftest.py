"""Two sources of drawn shapes with planted errors, and what is found of these."""

import copy
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from incomplete_shapes import detect, draw, load_config, without, write_config

from mmdet.apis.label_errors import Findings, look_at_labels, sources_of


class World(NamedTuple):
    """What is known of the data, and what was found."""

    folder: Path
    config: Path
    complete: dict[str, dict]  # source -> COCO dictionary without an error
    lost: set[int]  # ids of `real` that are not annotated
    swapped: dict[int, int]  # ids of `real` -> category that is right
    moved: dict[int, list[float]]  # ids of `real` -> box that is right
    results: list[list]
    findings: Findings


def plant(content: dict, count: int) -> tuple[dict, dict[int, int], dict[int, list[float]]]:
    """A copy in which ``count`` boxes have another class, and as many another place."""
    content = copy.deepcopy(content)
    chosen = np.random.default_rng(5).permutation(len(content['annotations']))[: 2 * count]
    swapped, moved = {}, {}
    for number, index in enumerate(chosen.tolist()):
        row = content['annotations'][index]
        if number < count:
            swapped[row['id']] = row['category_id']
            row['category_id'] = row['category_id'] % 3 + 1
        else:
            moved[row['id']] = list(row['bbox'])
            row['bbox'][0] += 0.45 * row['bbox'][2]  # IoU 0.38
    return content, swapped, moved


@pytest.fixture(scope='session')
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp('labels')
    complete = draw(folder, dict(real=120, clean=60))
    left, lost = without(complete['real'], {1: 0.3, 2: 0.3, 3: 0.3}, 1)
    flawed, swapped, moved = plant(left, 8)
    config = write_config(folder, dict(real=flawed, clean=complete['clean']))
    results = [detect(complete['real'], 3), detect(complete['clean'], 4)]
    findings = look_at_labels(sources_of(load_config(config)), results)
    return World(folder, config, complete, lost, swapped, moved, results, findings)


@pytest.fixture
def originals(world):
    """The annotation files as they were before; afterwards they must be the same."""
    before = {name: (world.folder / f'{name}.json').read_bytes() for name in world.complete}
    yield {name: json.loads(content) for name, content in before.items()}
    assert before == {name: (world.folder / f'{name}.json').read_bytes() for name in before}
