"""The teacher in a small detector: average, start, completion, checkpoints, and what a test runs."""

import copy

import numpy as np
import pytest
import torch
from mmcv.runner import load_checkpoint, save_checkpoint
from small_detectors import CONFIGS

from mmdet.core.directives import IGNORE_NEGATIVES, NEGATIVES
from mmdet.models.builder import build_detector
from mmdet.models.teacher.detections import read_result
from mmdet.utils.running.amp import enable_autocast

META = dict(
    img_shape=(32, 48, 3), pad_shape=(32, 48, 3), ori_shape=(32, 48, 3), scale_factor=np.ones(4, np.float32),
    flip=False, flip_direction=None, filename='a.png',
)  # fmt: skip
ASKING = dict(META, pseudo_labels='complete')
FOUND = np.array([[1, 1, 13, 13, 0.9], [20, 2, 44, 30, 0.8], [2, 16, 14, 30, 0.5]], np.float32)


def detector(kind='faster_rcnn', **teacher):
    torch.manual_seed(0)
    model = build_detector(copy.deepcopy(CONFIGS[kind]) | dict(teacher=teacher))
    model.CLASSES = ('a', 'b', 'c')
    return model.train()


def batch(*metas, objects=(1, 1)):
    generator = torch.Generator().manual_seed(0)
    metas = metas or (META, ASKING)
    return dict(
        img=torch.randn(len(metas), 3, 32, 48, generator=generator),
        img_metas=[dict(meta) for meta in metas],
        gt_bboxes=[torch.tensor([[20.0, 2, 44, 30]])[:n] for n in objects],
        gt_labels=[torch.tensor([1])[:n] for n in objects],
    )


def detecting(model, *rows, label=0):
    """Let the teacher find these rows (n, 5), of one class, in every image."""
    rows = np.array(rows, np.float32).reshape(-1, 5)
    result = [rows if k == label else rows[:0] for k in range(3)]
    calls = []

    def detect(data):
        calls.append(data)
        return [read_result(result) for _ in data['img_metas']]

    model.teacher._detect = detect
    return calls


def step(model, data, lr=0.1):
    optimizer = torch.optim.SGD(model.parameters(), lr)
    out = model.train_step(data, optimizer)
    optimizer.zero_grad()
    out['loss'].backward()
    optimizer.step()
    return out


def test_average_by_hand_with_a_warm_up():
    model = detector(momentum=0.5)
    student, copied = model.rpn_head.rpn_conv.weight, model.teacher.model.rpn_head.rpn_conv.weight
    with torch.no_grad():
        values = []
        for value in (1.0, 2.0, 4.0, 8.0, 100.0):
            student.fill_(value)
            model.teacher.follow(model)
            values.append(float(copied.mean()))
    # of the old one the steps leave 0, 2/11, 3/12, 4/13, 5/14, until that is more than the momentum
    want = [1.0]
    for number, value in enumerate((2.0, 4.0, 8.0, 100.0), 1):
        keep = min(0.5, (1 + number) / (10 + number))
        want.append(keep * want[-1] + (1 - keep) * value)
    assert values == pytest.approx(want, rel=1e-6) and not copied.requires_grad


def test_buffers_are_averaged_and_counters_copied():
    model = build_detector(copy.deepcopy(CONFIGS['retinanet']) | dict(teacher=dict(momentum=0.0)))
    for part in (model, model.teacher.model):
        part.norm = torch.nn.BatchNorm1d(2)
    for mean, count in ((1.0, 5), (3.0, 7)):
        model.norm.running_mean.fill_(mean)
        model.norm.num_batches_tracked.fill_(count)
        model.teacher.follow(model)
    assert model.teacher.model.norm.running_mean.tolist() == [3, 3]
    assert model.teacher.model.norm.num_batches_tracked == 7


def test_nothing_that_sweeps_over_the_detector_finds_the_copy():
    plain, model = build_detector(copy.deepcopy(CONFIGS['faster_rcnn'])), detector()
    names = [name for name, _ in plain.named_parameters()]
    assert [name for name, _ in model.named_parameters()] == names
    assert [name for name, _ in model.named_modules()] == [
        *(name for name, _ in plain.named_modules()), 'teacher', 'teacher.calibration'
    ]  # fmt: skip
    model.train()
    assert not model.teacher.model.training
    assert model.double().teacher.model.rpn_head.rpn_conv.weight.dtype == torch.float64


def test_it_completes_images_that_ask_for_it_once_it_has_begun():
    model = detector(burn_in=1, score_thr=0.7)
    calls = detecting(model, *FOUND)
    data = batch()
    for begun in (False, True):
        seen, (names, values) = model.teacher.complete(model, data)
        log = dict(zip(names, values.tolist()))
        assert log['teacher_begun'] == begun
        if not begun:
            assert seen['gt_bboxes'] == data['gt_bboxes'] and 'gt_weights' not in seen and not calls
    assert len(calls) == 1
    assert [len(boxes) for boxes in seen['gt_bboxes']] == [1, 3]
    # the second detection is the annotated object, the third is doubtful: at least half of 0.7
    assert seen['gt_bboxes'][1].tolist() == [[20, 2, 44, 30], [1, 1, 13, 13], [2, 16, 14, 30]]
    assert seen['gt_labels'][1].tolist() == [1, 0, 0] and seen['gt_weights'][1].tolist() == [[1, 1], [1, 0], [0, 0]]
    assert (log['teacher_pseudo'], log['teacher_ignored']) == (1, 1)
    assert log['teacher_confidence'] == pytest.approx(0.9) and log['teacher_threshold'] == pytest.approx(0.7)
    assert len(data['gt_bboxes'][1]) == 1


def test_pseudo_objects_change_the_classification_alone_and_ignored_ones_nothing():
    def losses(**teacher):
        model = detector(burn_in=1, score_thr=0.7, **teacher)
        detecting(model, *FOUND)
        model.teacher.follow(model)
        torch.manual_seed(0)
        return model.train_step(batch(), None)['log_vars']

    plain = detector().train_step(batch(), None)['log_vars']
    completed, with_boxes = losses(), losses(box_loss=1.0)
    assert completed['loss_cls'] != plain['loss_cls'] and completed['loss_rpn_cls'] != plain['loss_rpn_cls']
    assert with_boxes['loss_rpn_bbox'] > completed['loss_rpn_bbox'] > 0


def test_images_without_objects_teach_no_background_before_it_begins():
    model = detector(burn_in=1)
    detecting(model)
    data = batch(META, ASKING, dict(ASKING, labeled_classes=[1]), objects=(0, 0, 0))
    seen, _ = model.teacher.complete(model, data)
    assert [meta.get(NEGATIVES) for meta in seen['img_metas']] == [None, 'none', None]
    assert [meta.get(IGNORE_NEGATIVES) for meta in seen['img_metas']] == [None, 1, None]
    seen, _ = model.teacher.complete(model, data)
    assert not any(NEGATIVES in meta for meta in seen['img_metas'])


@pytest.mark.parametrize(('labeled', 'count'), [([1, 2], 2), ([0], 1)])
def test_with_labelled_classes_only_the_others_are_completed(labeled, count):
    model = detector(burn_in=0, score_thr=0.7)
    detecting(model, FOUND[0], label=0)
    seen, _ = model.teacher.complete(model, batch(META, dict(ASKING, labeled_classes=labeled)))
    assert len(seen['gt_bboxes'][1]) == count


def test_burn_in_is_over_when_annotated_objects_are_recalled():
    model = detector(burn_in=dict(recall=0.9, wait=3), measure_every=2, score_thr=0.7)
    calls = detecting(model, FOUND[1], label=1)
    begun = []
    for _ in range(6):
        step(model, batch(), lr=0.0)
        begun.append(model.teacher.has_begun)
    assert begun == [False, False, False, False, False, True] and len(calls) == 3
    for rows, score_thr in ((FOUND[0], 0.7), (FOUND[1], 0.85)):  # another class; a score that is too low
        missing = detector(burn_in=dict(recall=0.9, wait=3), measure_every=1, score_thr=score_thr)
        detecting(missing, rows, label=rows is FOUND[1])
        for _ in range(6):
            step(missing, batch(), lr=0.0)
        assert not missing.teacher.has_begun


@pytest.mark.parametrize(
    'metas',
    [
        (META, ASKING),  # labelled images, and others that have no labels
        (dict(ASKING, labeled_classes=[1]), dict(ASKING, labeled_classes=[0, 2])),  # sources of other classes
    ],
)
def test_it_begins_where_nothing_is_missing_in_the_annotated_images(metas):
    model = detector(burn_in=dict(recall=0.3, wait=3), measure_every=1)
    detecting(model, FOUND[1], label=1)
    for _ in range(25):  # a class has a threshold once 20 of its objects were found
        step(model, batch(*metas, objects=(1, 0)), lr=0.0)
    assert model.teacher.has_begun
    seen, _ = model.teacher.complete(model, batch(*metas, objects=(1, 0)))
    assert [len(boxes) for boxes in seen['gt_bboxes']] == [1, 1]


def test_checkpoints_hold_the_copy_and_a_resumed_run_goes_on_to_equal_numbers(tmp_path):
    def made():
        return detector(burn_in=2, score_thr=0.2, student_view=dict(), momentum=0.9)

    def steps(model, count):
        return [step(model, batch())['log_vars'] for _ in range(count)]

    whole = made()
    torch.manual_seed(5)
    steps(whole, 3)
    state = torch.get_rng_state()
    save_checkpoint(whole, str(tmp_path / 'at_3.pth'))
    after = steps(whole, 2)
    keys = torch.load(tmp_path / 'at_3.pth', weights_only=True)['state_dict']
    student = [key for key in keys if not key.startswith('teacher.')]
    own = {'teacher.steps', *(f'teacher.calibration.{name}' for name in ('sums', 'measured', 'missing_ratio', 'begun'))}
    assert {key for key in keys if key.startswith('teacher.')} == {f'teacher.model.{key}' for key in student} | own
    resumed = made()
    load_checkpoint(resumed, str(tmp_path / 'at_3.pth'), strict=True)
    torch.set_rng_state(state)
    assert steps(resumed, 2) == after
    for key, value in whole.state_dict().items():
        assert value.equal(resumed.state_dict()[key]), key


def test_a_checkpoint_without_a_teacher_loads_and_the_teacher_begins_as_the_student(tmp_path):
    plain = build_detector(copy.deepcopy(CONFIGS['faster_rcnn']))
    save_checkpoint(plain, str(tmp_path / 'plain.pth'))
    model = detector()
    load_checkpoint(model, str(tmp_path / 'plain.pth'), strict=True)
    model.teacher.follow(model)
    for ours, theirs in zip(model.teacher.model.parameters(), plain.parameters(), strict=True):
        assert ours.equal(theirs)
    wrong = {'teacher.model.backbone.first.weight': torch.zeros(1)}
    with pytest.raises(RuntimeError, match='size mismatch for backbone.first.weight'):
        model.load_state_dict(wrong, strict=False)


def test_a_test_runs_whom_the_config_names():
    scores = {}
    for kind in ('student', 'teacher'):
        model = detector(evaluate=kind, momentum=0.0)
        with torch.no_grad():
            model.teacher.follow(model)
            for p in model.parameters():
                p.mul_(0.5)
            model.eval()
            result = model(img=[batch()['img'][:1]], img_metas=[[dict(META)]], return_loss=False)
            scores[kind] = np.concatenate(result[0])
            direct = (model if kind == 'student' else model.teacher.model).simple_test(batch()['img'][:1], [dict(META)])
        assert np.array_equal(scores[kind], np.concatenate(direct[0]))
    assert not np.array_equal(scores['student'], scores['teacher'])


def test_a_test_of_a_checkpoint_without_a_teacher_runs_the_student_and_says_so():
    model = detector(evaluate='teacher').eval()
    with pytest.warns(UserWarning, match='neither a training nor the checkpoint has made one: the student is run'):
        result = model(img=[batch()['img'][:1]], img_metas=[[dict(META)]], return_loss=False)
    direct = model.simple_test(batch()['img'][:1], [dict(META)])
    assert np.array_equal(np.concatenate(result[0]), np.concatenate(direct[0]))


def test_training_in_bfloat16_and_validation_steps():
    model = detector(burn_in=0, score_thr=0.1, dtype='bfloat16', student_view=dict())
    out = step(model, batch())
    assert np.isfinite(out['loss'].item()) and out['log_vars']['teacher_begun'] == 1
    assert model.teacher.model.autocast_dtype is torch.bfloat16 and not hasattr(model, 'autocast_dtype')
    enable_autocast(model, torch.bfloat16)  # the student, as the hook of `fp16=dict(dtype='bfloat16')` does it
    assert np.isfinite(step(model, batch())['loss'].item())
    model.eval()
    assert not any(name.startswith('teacher') for name in model.val_step(batch())['log_vars'])


@pytest.mark.parametrize(('proposals', 'count'), [(3, 3), (None, 10)])
def test_its_second_stage_looks_at_a_limited_number_of_proposals_in_training_alone(proposals, count):
    model = detector(burn_in=0, score_thr=0.1, proposals=proposals)
    head, seen = model.teacher.model.rpn_head, []
    head.test_cfg.max_per_img = 10
    look = model.teacher.model.roi_head.simple_test
    model.teacher.model.roi_head.simple_test = lambda feats, boxes, *args, **kwargs: (
        seen.append(len(boxes[0])), look(feats, boxes, *args, **kwargs)
    )[1]  # fmt: skip
    model.teacher.complete(model, batch())
    assert seen == [count] and head.test_cfg.max_per_img == 10


def test_the_log_has_counts_of_every_source():
    model = detector(burn_in=0, score_thr=0.7)
    detecting(model, *FOUND)

    class Sources:
        sources = ('one', 'two')

    model.__dict__['source_log'] = Sources
    data = batch(dict(ASKING, source='one'), dict(ASKING, source='two'), dict(ASKING, source='two'), objects=(1, 1, 1))
    names, values = model.teacher.complete(model, data)[1]
    log = dict(zip(names, values.tolist()))
    assert (log['teacher_pseudo/one'], log['teacher_pseudo/two'], log['teacher_ignored/two']) == (1, 2, 2)


@pytest.mark.parametrize(
    ('teacher', 'message'),
    [
        (dict(momentum=1.0), r'teacher.momentum: expected a number in \[0, 1\), got 1.0'),
        (dict(ignore_as='boxes'), "teacher.ignore_as: expected 'objects' or 'regions'"),
        (dict(weight='sure'), "teacher.weight: expected a number >= 0 or 'confidence'"),
        (dict(dtype='half'), 'teacher.dtype: expected float32, bfloat16'),
        (dict(missing=1), r'teacher.missing: expected a number in \[0, 1\) or None, got 1'),
        (dict(proposals=0), 'teacher.proposals: expected a number above 0 or None'),
        (dict(evaluate='both'), "teacher.evaluate: expected 'student' or 'teacher'"),
    ],
)
def test_values_that_an_argument_cannot_have(teacher, message):
    with pytest.raises(ValueError, match=message):
        detector(**teacher)


def test_a_head_that_lets_no_object_weigh_takes_regions_and_whole_objects():
    model = detector(burn_in=0, score_thr=0.7, weight=1.0, box_loss=1.0, ignore_as='regions')
    detecting(model, *FOUND)
    seen, _ = model.teacher.complete(model, batch())
    assert 'gt_weights' not in seen and seen['gt_bboxes_ignore'][1].tolist() == [[2, 16, 14, 30]]
    assert np.isfinite(step(model, batch())['loss'].item())
