"""The files: tables, annotation files with suggestions marked and carried out, rates, the page."""

import base64
import csv
import json
import re

import cv2
import numpy as np
import pytest
from incomplete_shapes import load_config
from pycocotools.coco import COCO

from mmdet.apis.label_errors import (
    advise,
    apply_findings,
    look_at_labels,
    read_rates,
    sentences,
    sources_of,
    write_findings,
)
from mmdet.apis.label_errors.annotation_files import numbered
from mmdet.apis.label_errors.folds import write_fold
from mmdet.apis.label_errors.missing_rate import Rate
from mmdet.apis.label_errors.page import SUGGESTED, picture
from mmdet.apis.launch import UserError
from mmdet.apis.report.samples import ResultsError
from mmdet.datasets.builder import build_dataset
from mmdet.utils.output_paths import OutputPathError


@pytest.fixture(scope='module')
def written(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp('out')
    write_findings(world.findings, folder, crops=12)
    return folder


def table(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_tables_list_images_and_suggestions_worst_first(world, written):
    images, suggestions = table(written / 'images.csv'), table(written / 'suggestions.csv')
    expected = [float(row['expected_errors']) for row in images]
    assert expected == sorted(expected, reverse=True) and images[0]['rank'] == '1'
    counts = sum(int(row[kind]) for row in images for kind in ('missing', 'swapped', 'misplaced'))
    assert counts == len(suggestions) == sum(len(r.suggestions) for r in world.findings.reports)
    assert len({row['name'] for row in suggestions}) == len(suggestions)
    swapped = next(row for row in suggestions if row['kind'] == 'swapped')
    assert swapped['class'] != swapped['old_class'] and swapped['ann_id']
    text = (written / 'images.md').read_text()
    assert text.count('\n| ') >= len(images) + 2 and '| real | all |' in text


def test_marked_annotations_are_the_old_ones_and_a_box_for_each_suggestion(world, written, originals):
    marked = json.loads((written / 'suggestions_real.json').read_text())
    old = originals['real']['annotations']
    assert marked['annotations'][: len(old)] == old and marked['images'] == originals['real']['images']
    new = marked['annotations'][len(old) :]
    names = {name for name in numbered(world.findings.reports) if name.startswith('real/')}
    assert {row['attributes']['name'] for row in new} == names
    ids = [row['id'] for row in marked['annotations']]
    assert len(set(ids)) == len(ids)
    replacing = [row for row in new if 'replaces' in row['attributes']]
    assert replacing and {row['attributes']['replaces'] for row in replacing} <= {row['id'] for row in old}
    coco = COCO(str(written / 'suggestions_real.json'))  # what label tools read as well
    assert coco.annToMask(new[0]).sum() == pytest.approx(new[0]['area'], rel=0.2)


def test_accepted_suggestions_are_carried_out_in_a_new_file(world, tmp_path, originals):
    named = numbered(world.findings.reports)
    kinds = {}
    for name, (_, suggestion) in named.items():
        if name.startswith('real/'):
            kinds.setdefault(suggestion.kind, (name, suggestion))
    (tmp_path / 'ticked.txt').write_text('\n'.join([kinds['swapped'][0], kinds['misplaced'][0]]))
    lines = apply_findings(world.findings, tmp_path, [kinds['missing'][0], str(tmp_path / 'ticked.txt')])
    assert '1 missing' in lines[0] and '1 swapped' in lines[0] and 'nothing to change' in lines[1]
    content = json.loads((tmp_path / 'annotations_real.json').read_text())
    rows = {row['id']: row for row in content['annotations']}
    before = {row['id']: row for row in originals['real']['annotations']}
    (new,) = set(rows) - set(before)
    assert rows[new]['attributes'] == dict(accepted=kinds['missing'][0])
    swapped, misplaced = kinds['swapped'][1], kinds['misplaced'][1]
    assert rows[swapped.ann_id]['category_id'] == swapped.label + 1
    assert rows[swapped.ann_id]['bbox'] == before[swapped.ann_id]['bbox']
    assert rows[misplaced.ann_id]['bbox'] != before[misplaced.ann_id]['bbox']
    changed = {i for i, row in before.items() if row != rows[i]}
    assert changed == {swapped.ann_id, misplaced.ann_id}


def test_all_missing_boxes_of_enough_probability_are_added(world, tmp_path, originals):
    apply_findings(world.findings, tmp_path, ['missing'], 0.9)
    added = len(json.loads((tmp_path / 'annotations_real.json').read_text())['annotations'])
    sure = [
        s
        for r in world.findings.reports
        for s in r.suggestions
        if r.image.source == 'real' and s.kind == 'missing' and s.probability >= 0.9
    ]
    assert added - len(originals['real']['annotations']) == len(sure) > 0


def test_unknown_suggestion_is_refused_with_the_nearest_name(world, tmp_path):
    with pytest.raises(UserError, match="--apply mising.*'missing'"):
        apply_findings(world.findings, tmp_path, ['mising'])
    with pytest.raises(UserError, match="mean 'directives'.*Accepted are directives, all, "):
        apply_findings(world.findings, tmp_path, ['directive'])


@pytest.mark.parametrize('original', ['real', 'clean'])
def test_no_original_is_overwritten_under_any_name(world, originals, tmp_path, original):
    (tmp_path / 'annotations_clean.json').symlink_to(world.folder / f'{original}.json')
    (tmp_path / 'suggestions_clean.json').symlink_to(world.folder / f'{original}.json')
    before = (world.folder / f'{original}.json').read_bytes()
    with pytest.raises(OutputPathError, match='annotations_clean.json is an input'):
        apply_findings(world.findings, tmp_path, ['all'])
    with pytest.raises(OutputPathError, match='suggestions_clean.json is an input'):
        write_findings(world.findings, tmp_path, crops=1)
    assert (world.folder / f'{original}.json').read_bytes() == before and len(list(tmp_path.iterdir())) == 2


def test_files_of_data_sets_with_paths_as_names_stay_inside_the_folder(world, tmp_path):
    sources = [s._replace(name=name) for s, name in zip(world.findings.sources, ('/day/real', '../../clean'))]
    apply_findings(world.findings._replace(sources=sources), tmp_path / 'out', ['directives'])
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*.json')} == {
        'out/annotations_/day/real.json',
        'out/annotations_../clean.json',
    }


def test_directives_are_read_by_the_pipeline_that_trains(world, tmp_path, originals):
    lines = apply_findings(world.findings, tmp_path, ['directives'])
    assert 'negatives of 120 images' in lines[0]
    content = json.loads((tmp_path / 'annotations_real.json').read_text())
    assert {entry['negatives'] for entry in content['images']} == {'overlap'}
    assert content['annotations'] == originals['real']['annotations']
    clean = json.loads((tmp_path / 'annotations_clean.json').read_text())
    assert sum('negatives' in entry for entry in clean['images']) < 10
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Collect', keys=['img'], meta_keys=['filename']),
        dict(type='AddFieldToImgMetas', from_img_info=['negatives'], default='all'),
    ]
    files = dict(ann_file=str(tmp_path / 'annotations_real.json'), img_prefix=str(world.folder / 'images'))
    dataset = build_dataset(dict(type='CocoDataset', classes=('disc',), pipeline=pipeline, test_mode=True, **files))
    assert dataset[0]['img_metas'].data['negatives'] == 'overlap'


def rate(source, category, annotated, value, low):
    missing = annotated * value / (1 - value) if value < 1 else 50.0
    return Rate(source, category, annotated, missing, value, low, min(value + 0.1, 1))


def test_directives_follow_from_lower_ends_of_intervals():
    rates = [rate('a', None, 200, 0.4, 0.3), rate('a', 'disc', 100, 0.2, 0.15), rate('a', 'square', 100, 0.2, 0.15)]
    rates += [rate('a', 'ring', 0, 1.0, 0.9)]
    rates += [rate('b', None, 200, 0.2, 0.05), rate('b', 'disc', 200, 0.2, 0.05)]
    assert advise(rates) == {'a': {'unlabeled_classes': ['ring'], 'negatives': 'overlap'}}
    unknown = Rate('c', 'disc', 3, np.nan, np.nan, 0.0, 1.0)
    assert advise([unknown]) == {}


def test_rates_are_read_as_they_were_written(world, written, tmp_path):
    rates = read_rates(written / 'missing_rates.json')
    assert rates == world.findings.rates
    assert [r.source for r in rates if r.category is None] == ['real', 'clean']
    (tmp_path / 'other.json').write_text('[1]')
    with pytest.raises(UserError, match='holds no missing rates'):
        read_rates(tmp_path / 'other.json')
    with pytest.raises(UserError, match='there are no missing rates at'):
        read_rates(tmp_path / 'none.json')


def test_page_shows_the_most_probable_suggestions_with_their_pictures(world, written):
    text = (written / 'page.html').read_text()
    pictures = re.findall(r'base64,([^"]+)"', text)
    probabilities = [float(p) for p in re.findall(r'</input>|\((\d\.\d+)\)</label>', text) if p]
    assert len(pictures) == 12 and probabilities == sorted(probabilities, reverse=True)
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(pictures[0]), np.uint8), cv2.IMREAD_COLOR)
    assert max(decoded.shape[:2]) == 220
    assert 'http' not in text  # it needs nothing from elsewhere


def test_picture_has_the_suggested_box_where_it_is(world):
    report = next(r for r in world.findings.reports if r.count('missing'))
    suggestion = next(s for s in report.suggestions if s.kind == 'missing')
    image = np.zeros((96, 96, 3), np.uint8)
    shown = picture(image, report, suggestion._replace(box=(30.0, 30.0, 60.0, 60.0)))
    # 18 px of margin on each side: 12 to 79 of the image are 220 px of the picture
    reds = np.argwhere((shown == SUGGESTED).all(-1))
    assert reds.min(0).tolist() == pytest.approx([18 * 220 / 67] * 2, abs=3)
    assert reds.max(0).tolist() == pytest.approx([48 * 220 / 67] * 2, abs=3)


def test_files_of_sources_with_odd_names_stay_in_their_folder(world, tmp_path):
    names = ['../../up', 'a/b']
    sources = [source._replace(name=name) for source, name in zip(world.findings.sources, names)]
    findings = world.findings._replace(sources=sources)
    write_findings(findings, tmp_path / 'out', crops=0)
    apply_findings(findings, tmp_path / 'out', ['directives'])
    written = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob('*.json')]
    assert len(written) == 5 and all(path.startswith('out/') for path in written)
    assert write_fold(sources, [np.ones(len(one.images), bool) for one in sources], tmp_path / 'fold')[0].startswith(
        str(tmp_path / 'fold')
    )


def test_detections_of_larger_images_and_what_is_no_result_are_reported(world):
    sources = world.findings.sources[:1]
    far = np.array([[900, 900, 990, 990, 0.9]], np.float32)
    nothing = np.zeros((0, 5), np.float32)
    results = [[[far, nothing, nothing]] + [[nothing] * 3] * (len(sources[0].images) - 1)]
    assert look_at_labels(sources, results).notes == [
        '1 of 1 detections lie outside their images: are these the results of this data set?'
    ]
    with pytest.raises(ResultsError, match=rf'{sources[0].images[0].path}: expected for each image a list'):
        look_at_labels(sources, [[None] * len(sources[0].images)])


def test_data_sets_of_other_formats_are_refused(world):
    cfg = load_config(world.config)
    cfg.data.train = dict(type='XMLDataset', classes=('disc',), ann_file=str(world.folder / 'ids.txt'), pipeline=[])
    (world.folder / 'ids.txt').write_text('')
    with pytest.raises(UserError, match='XMLDataset.*annotation files of COCO'):
        sources_of(cfg)


def test_config_without_training_images_is_refused(world, tmp_path):
    cfg = load_config(world.config)
    (tmp_path / 'none.json').write_text('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "disc"}]}')
    cfg.data.train = dict(cfg.data.train.datasets[0], ann_file=str(tmp_path / 'none.json'))
    with pytest.raises(UserError, match='data.train has no images'):
        sources_of(cfg)
    cfg.data.train = None
    with pytest.raises(UserError, match='label errors need data.train'):
        sources_of(cfg)


def test_directives_that_a_data_set_has_are_not_advised_again():
    rates = [rate('a', None, 200, 0.4, 0.3), rate('a', 'disc', 100, 0.4, 0.3), rate('a', 'ring', 0, 1.0, 0.9)]
    step = "for its images: dict(type='AddFieldToImgMetas', fields="
    assert sentences(rates)[0].endswith(f"{step}['unlabeled_classes', 'negatives'], values=[['ring'], 'overlap'])")
    assert sentences(rates, dict(a=['negatives']))[0].endswith(f"{step}['unlabeled_classes'], values=[['ring']])")
    said = sentences(rates, dict(a=['negatives', 'unlabeled_classes']))
    assert said == ['a: 40% of the objects are not annotated (30% to 50%)']
    said = sentences([rate('a', None, 200, 0.5, 0.4)])
    assert len(said) == 2 and said[1].startswith('a: a detector that is trained on so small a part of')
