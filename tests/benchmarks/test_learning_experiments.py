"""What the experiments of benchmarks/learning make of data and configs, and one that runs from end to end."""

import argparse
import importlib
import json
from pathlib import Path

import pytest
from process import python

FOLDER = Path(__file__).resolve().parents[2] / 'benchmarks/learning'


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def coco(images=8, boxes=5):
    rows = [
        dict(id=i * boxes + k, image_id=i + 1, category_id=k % 2 + 1, bbox=[10.0, 10, 20, 10], area=200.0, iscrowd=0)
        for i in range(images)
        for k in range(boxes)
    ]
    entries = [dict(id=i + 1, file_name=f'{i}.png', width=64, height=64) for i in range(images)]
    return dict(images=entries, annotations=rows, categories=[dict(id=1, name='disc'), dict(id=2, name='square')])


def ids(part):
    return {row['id'] for row in part['annotations']}


def test_subset_leaves_out_a_share_of_the_boxes_of_the_images_that_stay(load):
    subset = load('experiment').subset
    whole, half, most = (subset(coco(), {1, 2, 3, 4}, missing, seed=1) for missing in (0, 0.5, 0.7))
    assert len(whole['images']) == 4 and len(ids(whole)) == 20
    assert len(ids(half)) == 10 and len(ids(most)) == 6 and ids(most) < ids(half) < ids(whole)
    assert ids(half) != ids(subset(coco(), {1, 2, 3, 4}, 0.5, seed=2))
    squares = subset(coco(), {1}, classes=('square',))
    assert [row['category_id'] for row in squares['annotations']] == [2, 2]


def test_runs_of_the_teacher_experiment_differ_in_labels_directives_and_options(load, tmp_path):
    experiment, script = load('experiment'), load('teacher')

    def runs(*options):
        args = script.parse_args(
            [*options, '--work-dir', str(tmp_path), '--images', '4', '--teacher', '{"momentum": 0.9}']
        )
        return {run.method: run for run in script.runs_of_seed(args, 1, (coco(), 'pictures/', ('val.json', 'val/')))}

    def content(source):
        return json.loads(Path(source.ann_file).read_text())

    boxes = runs('boxes', '--missing', '50', 'one')
    assert list(boxes)[:2] == ['complete', 'plain/50'] and len(boxes) == 11
    assert [len(ids(content(boxes[name].sources[0]))) for name in ('complete', 'plain/50', 'plain/one')] == [20, 10, 4]
    assert len({row['image_id'] for row in content(boxes['plain/one'].sources[0])['annotations']}) == 4
    assert boxes['teacher overlap/one'].sources[0].directives == dict(negatives='overlap', pseudo_labels='complete')
    args = script.parse_args(['boxes', '--work-dir', str(tmp_path)])
    cfg = experiment.small_config(args, boxes['teacher/50'], None)
    assert cfg.model.teacher == dict(evaluate='teacher', momentum=0.9)
    assert 'teacher' not in experiment.small_config(args, boxes['plain/50'], None).model
    later = runs('boxes', '--missing', '50', '--first', '30')
    assert list(later) == ['plain/50', 'overlap/50', 'soft/50', 'teacher/50', 'teacher overlap/50', 'complete/50']
    assert len({run.options['load_from'] for run in later.values()}) == 1
    assert len(ids(content(later['complete/50'].sources[0]))) == 20
    classes = runs('classes')
    first, second = classes['teacher labeled classes/half'].sources
    assert first.directives == dict(labeled_classes=['disc'], pseudo_labels='complete')
    assert {row['category_id'] for row in content(second)['annotations']} == {2}
    images = runs('images', '--labelled', '25')
    labelled, bare = images['teacher/25'].sources
    assert (
        len(content(labelled)['images']) == 1 and not content(bare)['annotations'] and len(content(bare)['images']) == 3
    )
    cfg = experiment.small_config(args, images['teacher/25'], None)
    assert [part.get('filter_empty_gt', True) for part in cfg.data.train['datasets']] == [True, False]
    assert cfg.data.train_dataloader == dict(source_ratio=[4, 4])
    for what, first in (('classes', 'first-half'), ('images', 'first-10')):
        begun = {Path(run.options['load_from']).parent.name for run in runs(what, '--first', '30').values()}
        assert len(begun) == 1 and begun.pop().startswith(first)
    with pytest.raises(SystemExit):
        runs('images', '--methods', 'overlap')


def test_table_of_the_teacher_experiment_has_the_gap_that_a_method_recovers(load, tmp_path):
    results = {'complete': [0.7], 'plain/50': [0.4, 0.5], 'teacher/50': [0.6]}
    rows = {name: [dict(AP=ap, AP50=ap) for ap in aps] for name, aps in results.items()}
    text = load('teacher').table(rows).splitlines()
    assert text[3].startswith('| plain | 50 | 0.450 ± 0.071 |') and text[3].endswith('| 0% | 64% |')
    assert text[4] == '| teacher | 50 | 0.600 | 0.600 | 60% | 86% |'
    load('teacher').plot(rows, tmp_path / 'plot.png')
    assert (tmp_path / 'plot.png').stat().st_size > 5000


def test_figures_are_kept_run_by_run(load, tmp_path):
    experiment = load('experiment')
    args = argparse.Namespace(results=tmp_path / 'new' / 'figures.json')
    run = experiment.Run('plain/50', 1, (), [], ('', ''), 10)
    for one, figures in ((run, dict(AP=0.12345)), (run._replace(seed=2), dict(AP=0.2)), (run, dict(AP=0.3))):
        experiment.keep_figures(args, one, figures)
    experiment.keep_figures(args, run._replace(method=experiment.PRETRAINED), dict(AP=0.9))
    assert json.loads(args.results.read_text()) == {'plain/50': {'1': dict(AP=0.3), '2': dict(AP=0.2)}}
    experiment.keep_figures(argparse.Namespace(), run, dict(AP=0.1))  # of experiments without such a file


def test_policies_differ_in_what_is_said_of_the_incomplete_images_alone(load, tmp_path):
    experiment, script = load('experiment'), load('missing_labels')
    args = script.parse_args(['--work-dir', str(tmp_path), '--images', '4', '--shares', '50', '--missing', '40'])
    runs = script.runs_of_seed(args, 1, (coco(), 'pictures/', ('val.json', 'val/')))
    names = [f'{policy}/50/40' for policy in script.POLICIES]
    assert [run.method for run in runs] == ['complete', 'clean alone/50', *names]
    alone = json.loads(Path(runs[1].sources[0].ann_file).read_text())
    assert {image['id'] for image in alone['images']} < {5, 6, 7, 8}  # the images of seed 1
    clean, incomplete = runs[-1].sources
    assert clean == runs[1].sources[0] and clean.directives == {}
    assert len(ids(json.loads(Path(incomplete.ann_file).read_text()))) == 6  # of 10
    cfg = experiment.small_config(args, runs[-1], tmp_path / 'body.pth')
    last = [part['pipeline'][-1] for part in cfg.data.train['datasets']]
    assert last[0]['type'] == 'Collect' and last[1]['fields'] == ['negatives']
    assert last[1]['values'][0]['type'] == 'recalibrate' and cfg.load_from.endswith('body.pth')
    assert len({experiment.run_folder(args, run) for run in runs}) == len(runs)


def test_sources_of_disjoint_classes_say_which_they_annotate(load, tmp_path):
    script = load('missing_classes')
    args = script.parse_args(['--work-dir', str(tmp_path), '--images', '2'])
    named = dict(coco(), categories=[dict(id=1, name='disc'), dict(id=2, name='star')])
    runs = {run.method: run for run in script.runs_of_seed(args, 0, tmp_path, named)}
    said = [source.directives for source in runs['labeled_classes, RPN soft'].sources]
    assert said[0]['labeled_classes'] == ['disc', 'square'] and said[1]['labeled_classes'] == ['triangle', 'star']
    assert said[0]['rpn_head.negatives']['type'] == 'soft'
    kept = [json.loads(Path(source.ann_file).read_text()) for source in runs['plain'].sources]
    assert [{row['category_id'] for row in part['annotations']} for part in kept] == [{1}, {2}]
    assert not {image['id'] for image in kept[0]['images']} & {image['id'] for image in kept[1]['images']}
    complete = json.loads(Path(runs['complete'].sources[0].ann_file).read_text())
    assert {row['category_id'] for row in complete['annotations']} == {1, 2}


def test_bias_enlarges_boxes_about_their_centres_and_changes_some_labels(load):
    script = load('head_weights')
    made = script.biased(coco(40), seed=0)
    assert made['annotations'][0]['bbox'] == pytest.approx([8, 9, 24, 12])
    pairs = zip(made['annotations'], coco(40)['annotations'])
    changed = sum(a['category_id'] != b['category_id'] for a, b in pairs) / 200
    assert 0.1 < changed < 0.3
    assert script.sweep('RPN', [0, 1]) == [(0, '0/1'), (1, '1/1')]
    assert script.sweep('both', [0, 0.3]) == [(0.3, '0.3/0.3')]
    assert set(script.settings([0, 1])) == {'0/1', '1/0', '1/1'}


def test_pages_keep_their_text_and_plots_are_drawn(load, tmp_path):
    experiment, script = load('experiment'), load('missing_labels')
    args = script.parse_args(['--shares', '50', '--missing', '30', '70', '--policies', 'plain'])
    names = ('complete', 'clean alone/50', 'plain/50/30', 'plain/50/70')
    results = {name: [dict(AP=0.1), dict(AP=0.3)] for name in names}
    text = script.table(args, results)
    assert '| 50 | 70 | 0.200 ± 0.141 | 0.200 ± 0.141 | 0.200 ± 0.141 |' in text
    experiment.write_table('| of last time |', tmp_path / 'page.md')
    (tmp_path / 'page.md').write_text((tmp_path / 'page.md').read_text() + 'what it means\n')
    experiment.write_table(text, tmp_path / 'page.md')
    page = (tmp_path / 'page.md').read_text()
    assert text in page and 'of last time' not in page and page.endswith('what it means\n')
    script.plot(args, results, tmp_path / 'plot.png')
    empty = tmp_path / 'empty.png'
    with experiment.panels(1, empty):
        pass
    assert (tmp_path / 'plot.png').stat().st_size > empty.stat().st_size + 5000


def test_an_experiment_runs_from_its_command_and_does_not_repeat_what_is_there(tmp_path):
    out = tmp_path / 'out'
    options = (
        '--seeds 0 --jobs 1 --size 64 --width 8 --batch 2 --images 4 --synthetic-images 4 --val-images 3 --iters 2'
    )
    more = '--pretrain-images 6 --pretrain-iters 2 --weights 0.3'
    command = [FOLDER / 'head_weights.py', '--work-dir', tmp_path, '--out-dir', out, *f'{options} {more}'.split()]
    python(*command)
    assert '| both |' in (out / 'head_weights.md').read_text() and (out / 'head_weights.png').exists()
    figures = json.loads(next(tmp_path.glob('runs/1-1_0_*/figures.json')).read_text())
    assert set(figures) == {'AP', 'AP50', 'disc', 'square', 'triangle', 'seconds'}
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob('runs/*/figures.json')}
    assert len(made) == 6  # the pretrained detector, real alone, and four pairs of weights
    assert len(list(tmp_path.glob('runs/pretrained_*/body.pth'))) == 1
    python(*command)
    assert made == {path: path.stat().st_mtime_ns for path in tmp_path.glob('runs/*/figures.json')}
