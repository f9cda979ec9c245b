"""The directives of a batch as tensors: what a head reads, and when there is nothing to read."""

import pytest
import torch

from mmdet.core.directives import TWO_STAGES, HeadDirectives, Policy

CPU = torch.device('cpu')
METAS = [
    {'bbox_head.loss_weight': 3, 'roi_head.loss_weight': 5, 'rpn_head.loss_weight': 7},
    {'roi_head.loss_weight': 0.5, 'negatives': 'none', 'unlabeled_classes': [1]},
    {'ignore_negatives': 1},
]


class Notes:
    """Keeps the weights that are noted."""

    def __init__(self):
        self.weights = []

    def note_weights(self, loss_weights, img_metas):
        self.weights.append((loss_weights, img_metas))

    def note_targets(self, targets, image_of_row, directives):
        raise AssertionError('reading weighs no targets')


def read(names=('bbox_head', 'roi_head'), metas=METAS, head=None, **kwargs):
    head = head or HeadDirectives(names, enabled=True)
    return head.read(metas, 2, softmax=True, device=CPU, **kwargs)


def test_the_first_name_that_an_image_has_counts():
    found = read()
    assert found.loss_weights.tolist() == [3, 0.5, 1] and found.weighted
    assert [policy.kind for policy in found.negatives] == ['all', 'none', 'all']
    assert found.unlabeled.tolist() == [[False, False], [False, True], [False, False]]
    assert (found.num_classes, found.softmax, found.record) == (2, True, None)
    assert read(('rpn_head',)).loss_weights.tolist() == [7, 1, 1]


def test_a_head_that_takes_all_its_rows_reads_ignored_negatives_itself():
    assert [policy.kind for policy in read(sampled=False).negatives] == ['all', 'none', 'none']
    without_sampler = HeadDirectives(('bbox_head',), enabled=True, has_sampler=False)
    assert [policy.kind for policy in read(head=without_sampler).negatives] == ['all', 'none', 'none']
    assert read(head=without_sampler, sampled=True).negatives[2] == Policy()


def test_heads_without_negatives_and_first_stages_read_less():
    of_masks = read(('mask_head', 'roi_head'))
    assert of_masks.loss_weights.tolist() == [5, 0.5, 1]
    assert of_masks.negatives == (Policy(),) * 3 and of_masks.unlabeled is None and not of_masks.masks_scores
    first = read(('rpn_head',))
    assert first.unlabeled is None and first.negatives[1].kind == 'none'


def test_nothing_is_read_where_directives_are_off_or_images_say_nothing():
    off = HeadDirectives(('bbox_head',))
    assert read(head=off) is None and read(metas=None) is None and read(metas=[]) is None
    found = read(metas=[{'bbox_head.loss_weight': 1}, {}])
    assert not found.weighted and not found.masks_scores


@pytest.mark.parametrize('enabled', [True, False])
def test_while_losses_are_logged_the_weights_are_a_leaf_that_is_noted(enabled):
    head = HeadDirectives(('bbox_head', 'roi_head'), enabled=enabled)
    head.record = notes = Notes()
    assert (
        read(head=head, for_weights=False) is None if not enabled else read(head=head, for_weights=False).record is None
    )
    assert notes.weights == []
    found = read(head=head)
    assert found.weighted and found.loss_weights.requires_grad and found.loss_weights.is_leaf
    assert found.loss_weights.tolist() == ([3, 0.5, 1] if enabled else [1, 1, 1])
    assert [policy.kind for policy in found.negatives] == ['all', 'none' if enabled else 'all', 'all']
    ((weights, metas),) = notes.weights
    assert weights is found.loss_weights and metas is METAS


def test_the_iteration_decides_about_policies_with_a_warm_up():
    head = HeadDirectives(('rpn_head',), enabled=True)
    metas = [{'negatives': dict(type='recalibrate', warmup=5)}]
    assert head.needs_scores(metas[0])
    with pytest.raises(RuntimeError, match='follow_iter'):
        read(head=head, metas=metas)
    head.iteration = 4
    assert not read(head=head, metas=metas).masks_scores
    head.iteration = 5
    assert read(head=head, metas=metas).masks_scores


@pytest.mark.parametrize(
    ('name', 'meta', 'needs'),
    [
        ('bbox_head', {'labeled_classes': [0]}, True),
        ('rpn_head', {'labeled_classes': [0]}, False),
        ('bbox_head', {'negatives': 'none'}, False),
        ('mask_head', {'negatives': 'recalibrate', 'labeled_classes': [0]}, False),
    ],
)
def test_which_images_need_class_scores(name, meta, needs):
    assert HeadDirectives((name,), enabled=True).needs_scores(meta) is needs


def test_two_stages_are_a_first_stage_and_boxes_that_fall_back_to_the_roi_head():
    assert {name: head.names for name, head in TWO_STAGES.items()} == {
        'rpn_head': ('rpn_head',),
        'bbox_head': ('bbox_head', 'roi_head'),
    }
    assert [head.class_wise for head in TWO_STAGES.values()] == [False, True]


def test_impossible_values_name_their_keys():
    with pytest.raises(ValueError, match='roi_head.loss_weight: expected a finite number >= 0, got -1'):
        read(metas=[{'roi_head.loss_weight': -1}])
    with pytest.raises(ValueError, match='label 2 is out of range: the head has 2 classes'):
        read(metas=[{'labeled_classes': [2]}])
