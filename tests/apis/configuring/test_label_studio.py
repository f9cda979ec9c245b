"""Exports of Label Studio."""

import json

import pytest
from odd_annotations import CAT, H, W, boxes_of

from mmdet.apis.configuring import AnnotationError, read_annotations
from mmdet.apis.configuring.label_studio import label_studio_box

PLACE = dict(x=12.5, y=12.5, width=25, height=50)


def read(folder, *tasks):
    (folder / 'tasks.json').write_text(json.dumps(tasks))
    return read_annotations(folder / 'tasks.json')


def task(*values):
    return dict(id=7, data=dict(image='/x/a.png'), annotations=[dict(result=[dict(value=value) for value in values])])


def test_label_studio_counts_in_per_cent_and_takes_the_latest_annotation(folder):
    def result(label):
        value = dict(x=12.5, y=12.5, width=25, height=50, rectanglelabels=[label])
        return dict(result=[dict(value=value), dict(value=dict(choices=['good']))])

    tasks = [
        dict(data=dict(image='/data/upload/1/0a1b2c3d-a.png'), annotations=[result('old'), result('cat')]),
        dict(data=dict(image='/data/local-files/?d=x/b.png'), annotations=[]),
    ]
    (folder / 'tasks.json').write_text(json.dumps(tasks))
    assert boxes_of(read_annotations(folder / 'tasks.json')) == {'a.png': [('cat', 10, 5, 20, 20)], 'b.png': []}
    outline = dict(value=dict(points=[[0, 0], [50, 0], [50, 100]], polygonlabels=['dog']))
    assert label_studio_box(outline['value'], (W, H), None).xyxy == (0, 0, 40, 40)


def test_the_short_form_has_its_regions_beside_the_image(folder):
    regions = [dict(PLACE, rectanglelabels=['cat'], original_width=W)]
    tasks = dict(image='/d/b.png', id=2), dict(image='/d/0a1b2c3d-a.png', id=1, tag=regions, annotator=1)
    assert boxes_of(read(folder, *tasks)) == {'a.png': [CAT], 'b.png': []}


@pytest.mark.parametrize(
    ('value', 'box'),
    [
        (dict(x=50, y=12.5, width=25, height=25, rotation=90, rectanglelabels=['cat']), (30, 5, 10, 20)),
        (dict(x=25, y=37.5, radiusX=12.5, radiusY=25, ellipselabels=['cat']), CAT[1:]),
        (dict(PLACE, rotation=0, labels=['cat']), CAT[1:]),
    ],
    ids=['turned about its corner', 'ellipse', 'label of its own'],
)
def test_regions_become_boxes(folder, value, box):
    found = read(folder, task(PLACE, value))  # the first has no label
    assert boxes_of(found) == {'a.png': [('cat', *box)]} and found.notes == []


def test_regions_that_are_not_read_are_counted_and_broken_ones_named(folder):
    found = read(folder, task(dict(brushlabels=['cat'], rle=[1]), dict(PLACE, rectanglelabels=['cat'])))
    assert boxes_of(found) == {'a.png': [CAT]}
    assert found.notes == [f'{folder / "tasks.json"}: left out: 1 regions of brushlabels']
    with pytest.raises(AnnotationError, match="task 7: there is no 'x'"):
        read(folder, task(dict(rectanglelabels=['cat'])))
    with pytest.raises(AnnotationError, match='no annotated image .* not there: an image without a name'):
        read(folder, dict(data=dict(text='abc')))
