"""The page of a report: what it says, and that it stands alone."""

import base64
import json
import pickle
import re

import cv2
import numpy as np
import pytest
from mmcv import Config

from mmdet.apis.report import Sample, Settings, collect, page, write_page
from mmdet.apis.report.page import confusions, difference, number
from mmdet.utils.output_paths import OutputPathError


def read(path):
    """Text of a page and its data."""
    text = path.read_text(encoding='utf-8')
    return text, json.loads(re.search(r'<script type="application/json" id="report-data">(.*?)</script>', text)[1])


@pytest.fixture(scope='module')
def run(made):
    return collect(Config.fromfile(str(made / 'config.py')), made / 'run', settings=Settings(examples=8))


def test_page_states_data_length_time_checkpoint_and_thresholds(run, tmp_path):
    write_page(run, tmp_path / 'r.html', None, Settings())
    text, _ = read(tmp_path / 'r.html')
    for part in (
        *('data.test: 12 images of zoo, park; 3 classes', '3 epochs, 120 iterations', '30 s of training'),
        *('latest.pth (1.0 MiB', 'the score of its best F1', 'rpn_head 0.5, ignore_negatives', 'zoo_bbox_mAP_50'),
    ):
        assert part in text, part
    assert '>-1.000<' not in text and '>nan<' not in text.lower()
    assert not re.search(r'(src|href)="(https?:)?//', text)  # nothing comes from a network


def test_page_holds_the_pictures_of_its_examples(run, tmp_path):
    write_page(run, tmp_path / 'r.html', None, Settings(picture_side=100))
    _, data = read(tmp_path / 'r.html')
    assert {e['kind'] for e in data['examples']} >= {'missed', 'wrong class', 'poorly placed', 'background', 'correct'}
    assert {str(e['image']) for e in data['examples']} == set(data['images'])
    kind, content = data['images']['2']['src'].split(',')
    image = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
    assert kind == 'data:image/jpeg;base64' and image.shape == (75, 100, 3)
    taken = next(e for e in data['examples'] if e['kind'] == 'wrong class')
    assert (data['classes'][taken['other']], data['classes'][taken['label']]) == ('raccoon', 'kangaroo')


def test_page_with_pictures_as_files_links_them(run, tmp_path):
    write_page(run, tmp_path / 'r.html', None, Settings(), tmp_path / 'some pictures')
    _, data = read(tmp_path / 'r.html')
    links = [image['src'] for image in data['images'].values()]
    assert len(set(links)) == len(links) and all(link.startswith('some%20pictures/') for link in links)
    assert all((tmp_path / link.replace('%20', ' ')).stat().st_size for link in links)


def test_page_whose_pictures_would_replace_photos_is_refused(run, tmp_path):
    photo = tmp_path / 'photos/day/a.jpg'
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b'a photo')
    image = np.zeros((8, 8, 3), np.uint8)
    place = page.Pictures(100, tmp_path / 'photos', tmp_path, [str(photo)])
    assert place.link(image, '../b.png') == 'photos/b.jpg' and place.link(image, '/b.png') == 'photos/b_1.jpg'
    with pytest.raises(OutputPathError, match='day/a.jpg is an input'):
        place.link(image, 'day/a.png')
    assert photo.read_bytes() == b'a photo'


def test_page_of_two_runs_has_both_and_their_differences(run, tmp_path):
    other = run._replace(name='other', detections=run.detections._replace(figures={'zoo_bbox_mAP': 0.203}))
    write_page(run, tmp_path / 'r.html', other, Settings())
    text, data = read(tmp_path / 'r.html')
    assert 'compared with other' in text and '<td>+0.500</td>' in text
    assert data['runs'] == ['run', 'other'] and len(data['history']) == len(data['curves']) == 2
    assert all(image['other'] == image['detections'] for image in data['images'].values())


def test_page_of_two_runs_knows_their_classes_by_name(run, tmp_path):
    def renamed(image):
        return image._replace(sample=image.sample._replace(class_names=('koala', 'raccoon', 'emu')))

    scores = [own._replace(name=name) for own, name in zip(run.detections.scores, ('koala', 'raccoon', 'emu'))]
    others = run.detections._replace(images=[renamed(image) for image in run.detections.images], scores=scores)
    write_page(run, tmp_path / 'r.html', run._replace(name='other', detections=others), Settings())
    _, data = read(tmp_path / 'r.html')
    assert data['classes'] == ['raccoon', 'kangaroo', 'koala', 'emu']
    own, other = (data['images']['2'][key] for key in ('detections', 'other'))
    expected = {0: 2, 1: 0, 2: 3}
    assert own and [one['label'] for one in other] == [expected[one['label']] for one in own]


def test_page_of_two_runs_says_that_their_images_differ_and_tells_equal_names_apart(run, tmp_path):
    half = run.detections._replace(images=run.detections.images[:5])
    run = run._replace(notes=['odd'])
    elsewhere = dict(run.facts, **{'work folder': 'there/run'})
    other = run._replace(detections=half, facts=elsewhere, notes=['odd there'])
    notes = write_page(run, tmp_path / 'r.html', other, Settings())
    text, data = read(tmp_path / 'r.html')
    assert [note[:28] for note in notes] == ['odd', 'The runs were evaluated on d', 'odd there']
    assert run.notes == ['odd'] and notes[1] in text
    assert 'different images (12 and 5, 5 in common): their figures cannot be compared' in text
    assert data['runs'] == [run.facts['work folder'], 'there/run']


def test_page_leaves_out_pictures_that_cannot_be_read(run, tmp_path, monkeypatch):
    run, read_one = run._replace(notes=()), Sample.read_image

    def read_image(sample):
        if sample.number == 2:
            raise FileNotFoundError('image file not found: 2.png')
        return read_one(sample)

    monkeypatch.setattr(Sample, 'read_image', read_image)
    notes = write_page(run, tmp_path / 'r.html', None, Settings())
    text, data = read(tmp_path / 'r.html')
    assert notes == ['A picture is left out: image file not found: 2.png']
    assert notes[0] in text and '2' not in data['images']
    assert data['examples'] and 2 not in {example['image'] for example in data['examples']}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(evaluation=dict(metric='segm')), "KeyError: metric 'segm': the results hold only bbox"),
        (dict(data=dict(test=dict(type='RepeatDataset', times=1))), 'a RepeatDataset has none of its own'),
    ],
)
def test_run_without_figures_of_the_evaluation_has_the_rest(made, change, message):
    cfg = Config.fromfile(str(made / 'config.py'))
    if 'data' in change:
        change['data']['test']['dataset'] = cfg.data.test.copy()
        cfg.data.test = change['data']['test']
    else:
        cfg.merge_from_dict(change)
    found = collect(cfg, made / 'run')
    assert found.detections.figures == {} and found.detections.scores[0].ap50 > 0
    assert any('There are no figures of the evaluation' in note and message in note for note in found.notes)


def test_run_with_detections_outside_of_its_images_says_so(made, tmp_path):
    results = pickle.loads((made / 'run/results.pkl').read_bytes())
    (tmp_path / 'results.pkl').write_bytes(pickle.dumps(results[6:] + results[:6]))  # of the other data set's images
    notes = collect(Config.fromfile(str(made / 'config.py')), tmp_path).notes
    assert any('detections lie outside their images' in note for note in notes)


def test_page_without_results_has_curves_and_data_only(made, tmp_path):
    (tmp_path / '1.log.json').write_bytes(next((made / 'run').glob('*.log.json')).read_bytes())
    run = collect(Config.fromfile(str(made / 'config.py')), tmp_path)
    write_page(run, tmp_path / 'r.html', None, Settings())
    text, data = read(tmp_path / 'r.html')
    assert run.detections is None and 'id="gallery"' not in text and 'id="class-table"' not in text
    assert 'There are no results in' in text and data['history'][0]['losses']


def test_page_of_many_classes_lists_the_most_frequent_confusions(run, tmp_path, monkeypatch):
    assert confusions(run.detections)[0] == ('raccoon', 'kangaroo', 2)
    monkeypatch.setattr(page, 'MAX_MATRIX', 2)
    write_page(run, tmp_path / 'r.html', None, Settings())
    text, _ = read(tmp_path / 'r.html')
    assert 'class="matrix"' not in text and 'Of 3 classes the most frequent confusions' in text


def test_page_escapes_names(run, tmp_path):
    write_page(run._replace(name='<script>alert(1)</script>'), tmp_path / 'r.html', None, Settings())
    text, data = read(tmp_path / 'r.html')
    assert '<script>alert' not in text and data['runs'] == ['<script>alert(1)</script>']


def test_figures_that_do_not_exist_are_dashes():
    assert [number(value) for value in (0.5, None, -1.0, float('nan'), 0)] == ['0.500', '–', '–', '–', '0.000']
    assert difference(0.5, 0.75) == '-0.250' and difference(None, 0.5) == '–'
