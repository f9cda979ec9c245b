"""The families trained on drawn shapes: every config is made narrow, and a run goes on where another was ended."""

import importlib
import json
from pathlib import Path

import pytest
import torch

from mmdet.models import build_detector

FOLDER = Path(__file__).resolve().parents[2] / 'benchmarks'


@pytest.fixture(scope='module')
def load():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module


@pytest.fixture(scope='module')
def settings(tmp_path_factory):
    """Options of two steps on few images; what is drawn once serves all tests."""
    few = ['--iterations', '2', '--images', '6', '--val-images', '4', '--size', '64', '--batch', '2']
    return [*few, '--body-iterations', '0', '--work-dir', str(tmp_path_factory.mktemp('zoo'))]


def test_every_folder_of_configs_is_trained_or_left_out_for_a_reason(load):
    families = load('zoo_on_shapes_families')
    folders = {path.name for path in (FOLDER.parent / 'configs').iterdir() if path.is_dir()} - {'_base_', 'common'}
    assert not set(families.FAMILIES) & set(families.LEFT_OUT)
    assert {*families.FAMILIES, *families.LEFT_OUT} == folders
    for name, config in families.FAMILIES.items():
        assert config.startswith(f'{name}/') and (FOLDER.parent / 'configs' / config).is_file()


def test_models_are_a_fourth_as_wide_and_losses_stay(load, tmp_path):
    zoo = load('zoo_on_shapes')
    args = zoo.parse_args(['--size', '64', '--iterations', '7'])
    cfg = zoo.small_config('mask_rcnn', args, tmp_path, zoo.CLASSES, tmp_path / 'body.pth')
    head, backbone = cfg.model.roi_head.mask_head, cfg.model.backbone
    assert (head.in_channels, head.conv_out_channels, head.num_classes) == (64, 64, 3)
    assert head.loss_mask == dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0)
    assert backbone.base_channels == 16 and cfg.model.neck.in_channels == [64, 128, 256, 512]
    assert backbone.init_cfg.checkpoint.endswith('body.pth') and backbone.frozen_stages == 1
    assert cfg.data.train.pipeline[-1]['keys'] == ['img', 'gt_bboxes', 'gt_labels', 'gt_masks']
    assert cfg.data.train.pipeline[2].img_scale == (64, 64) and cfg.runner.max_iters == 7
    scratch = zoo.small_config('mask_rcnn', args, tmp_path, zoo.CLASSES, None).model.backbone
    assert scratch.init_cfg is None and scratch.frozen_stages == -1 and scratch.norm_cfg.requires_grad

    queries = zoo.small_config('mask2former', args, tmp_path, zoo.CLASSES, None).model.panoptic_head
    assert (queries.num_things_classes, queries.num_stuff_classes, queries.num_queries) == (3, 0, 30)
    assert queries.loss_cls.class_weight == [1.0, 1.0, 1.0, 0.1]
    assert zoo.small_config('yolox', args, tmp_path, zoo.CLASSES, None).model.input_size == (64, 64)
    corners = zoo.small_config('cornernet', args, tmp_path, zoo.CLASSES, None)
    assert corners.model.backbone.feat_channel == corners.model.bbox_head.in_channels == 64
    tested = corners.data.test.pipeline[1].transforms
    assert tested[1].type == 'RandomCenterCropPad' and 'border' in tested[-1]['meta_keys']


def test_few_images_are_trained_and_tested_on(load, settings, tmp_path, capsys):
    zoo = load('zoo_on_shapes')
    args = zoo.parse_args([*settings, '--few', '2', '--results', str(tmp_path / 'few.json')])
    data = zoo.draw(args.work_dir / 'shapes_6_64', zoo.CLASSES, args, seed=0)
    cfg = zoo.on_few(zoo.small_config('fcos', args, data, zoo.CLASSES, None), args.few, tmp_path)
    assert cfg.data.train.ann_file == cfg.data.test.ann_file and cfg.data.test.img_prefix == cfg.data.train.img_prefix
    coco = json.loads(Path(cfg.data.test.ann_file).read_text())
    assert len(coco['images']) == 2 and {row['image_id'] for row in coco['annotations']} == {1, 2}
    assert zoo.settings_of(args, 'fcos')['images'] == 2
    with pytest.raises(SystemExit):
        zoo.parse_args(['--few', '2'])
    assert '--few: its figures are no rows of the table' in capsys.readouterr().err


def test_slow_families_have_more_steps(load, tmp_path):
    zoo = load('zoo_on_shapes')
    args = zoo.parse_args(['--size', '64', '--iterations', '7'])
    for name, steps in dict(fcos=7, yolox=21, detr=28).items():
        assert zoo.small_config(name, args, tmp_path, zoo.CLASSES, None).runner.max_iters == steps
        assert zoo.settings_of(args, name)['iterations'] == steps


def test_teacher_is_the_other_family_as_it_was_trained(load, settings):
    zoo = load('zoo_on_shapes')
    args = zoo.parse_args(settings)
    data = zoo.draw(args.work_dir / 'shapes_6_64', zoo.CLASSES, args, seed=0)
    cfg, again = (
        zoo.with_teacher(zoo.small_config('ld', args, data, zoo.CLASSES, None), 'ld', args, data, None) for _ in 'ab'
    )
    assert again.model.teacher_ckpt == cfg.model.teacher_ckpt and len(list(args.work_dir.glob('*.pth'))) == 1
    teacher = build_detector(cfg.model).teacher_model
    trained = torch.load(cfg.model.teacher_ckpt, weights_only=True)['state_dict']
    assert torch.equal(teacher.bbox_head.gfl_cls.weight, trained['bbox_head.gfl_cls.weight'])


def test_family_is_trained_tested_and_not_repeated(load, settings, tmp_path, capsys):
    zoo = load('zoo_on_shapes')
    settings = [*settings, '--results', str(tmp_path / 'results.json')]
    zoo.main([*settings, '--families', 'retinanet'])
    results = json.loads((tmp_path / 'results.json').read_text())
    entry = results['retinanet']
    assert (entry['iterations'], entry['batch'], entry['config']) == (2, 2, zoo.FAMILIES['retinanet'])
    assert 0 <= entry['AP'] <= entry['AP50'] <= 1 and entry['seconds'] > 0
    assert results['fcos'] == dict(config=zoo.FAMILIES['fcos']) and results['tridentnet']['left_out']
    assert '| retinanet | retinanet_r50_fpn_1x_coco | 2 |' in capsys.readouterr().out

    entry['AP'] = 0.5  # would be another number if it were trained again
    (tmp_path / 'results.json').write_text(json.dumps(results))
    zoo.main([*settings, '--families', 'retinanet', 'solo', '--budget', '0'])
    results = json.loads((tmp_path / 'results.json').read_text())
    assert results['retinanet']['AP'] == 0.5 and 'seconds' not in results['solo']
    assert 'the budget is used up; solo' in capsys.readouterr().out


def test_family_that_cannot_be_trained_has_its_error_in_place_of_figures(load, tmp_path, capsys):
    zoo = load('zoo_on_shapes')
    args = zoo.parse_args(['--work-dir', str(tmp_path)])
    entry = zoo.run_family('fcos', args, tmp_path / 'nothing', None)
    assert entry['iterations'] is None and 'nothing' in entry['error'] and 'AP' not in entry
    capsys.readouterr()
    assert not zoo.is_done(dict(fcos=entry), 'fcos', args)
