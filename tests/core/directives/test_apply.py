"""The two calls: targets that images weigh, and scores of negatives that images make less of."""

import math

import pytest
import torch
from torch.nn import functional

from mmdet.core.directives import (
    OBJECT_WEIGHTS,
    HeadDirectives,
    mask_negatives,
    object_weights,
    overlap_weights,
    row_weights,
    weigh,
    with_object_weights,
)
from mmdet.core.targets import Targets

CPU = torch.device('cpu')
K = 2  # classes; the label of background


def read(*metas, softmax=True, names=('bbox_head', 'roi_head'), iteration=None, record=None):
    head = HeadDirectives(names, enabled=True)
    head.iteration, head.record = iteration, record
    return head.read(list(metas), K, softmax, CPU)


def targets_of(labels, weights=None):
    labels = torch.tensor(labels)
    weights = torch.ones(labels.shape) if weights is None else torch.tensor(weights)
    boxes = weights[..., None].repeat(*[1] * labels.ndim, 4)
    return Targets(labels, weights, 7 * boxes, boxes * (labels != K)[..., None])


def test_weights_of_two_images_by_hand():
    """Image 0 weighs 3, its negatives half of that; image 1 weighs 0.5, and its negatives nothing."""
    directives = read(
        {'bbox_head.loss_weight': 3, 'bbox_head.negative_weight': 0.5},
        {'roi_head.loss_weight': 0.5, 'negatives': 'none'},
    )
    targets = targets_of([[0, K, K], [1, 0, K]], [[1.0, 1, 0], [2, 1, 1]])
    got = weigh(targets, torch.tensor([[0], [1]]), directives)
    assert got.label_weights.tolist() == [[3, 1.5, 0], [1, 0.5, 0]]
    assert got.bbox_weights[..., 0].tolist() == [[3, 0, 0], [1, 0.5, 0]]
    assert got.labels is targets.labels and got.bbox_targets is targets.bbox_targets


@pytest.mark.parametrize('channels', [None, 3])
def test_flat_rows_are_weighed_as_a_loop_over_them_would(channels):
    torch.manual_seed(0)
    metas = [
        {'bbox_head.loss_weight': 2},
        {'negatives': dict(type='soft', weight=0.25), 'bbox_head.loss_weight': 0.5},
        {'negatives': 'overlap', 'bbox_head.negative_weight': 0.5},
        {},
    ]
    images, labels = torch.randint(0, 4, (30,)), torch.randint(0, K + 1, (30,))
    overlaps = torch.rand(30)
    weights = torch.rand(30) if channels is None else torch.rand(30, channels)
    targets = Targets(labels, weights, torch.rand(30, 4), torch.rand(30, 4))
    got = weigh(targets, images, read(*metas), lambda i: overlaps[images == i])
    for row, (image, label) in enumerate(zip(images.tolist(), labels.tolist())):
        factor = [2, 0.5, 1, 1][image]
        of_negative = [1, 0.25, 0.5 * overlap_weights(overlaps[row]), 1][image] if label == K else 1
        torch.testing.assert_close(got.label_weights[row], weights[row] * factor * of_negative)
        torch.testing.assert_close(got.bbox_weights[row], targets.bbox_weights[row] * factor)


def test_rows_that_only_fill_up_stay_without_weight_and_take_no_overlap_of_others():
    """Three rows of image 0, of which the last fills up; both of image 1."""
    directives = read({'negatives': 'overlap'}, {'bbox_head.loss_weight': 5, 'negatives': 'overlap'})
    images = torch.tensor([[0, 0, -1], [1, 1, -1]])
    targets = targets_of([[0, K, K], [K, K, K]], [[1.0, 1, 0], [1, 1, 0]])
    overlaps = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.3, 0.0]])
    got = weigh(targets, images, directives, lambda i: overlaps[i])
    want = overlap_weights(overlaps) * torch.tensor([[1.0, 1, 0], [5, 5, 0]])
    want[0, 0] = 1  # a positive
    torch.testing.assert_close(got.label_weights, want)


def test_overlaps_are_asked_for_only_where_a_policy_looks_at_them():
    asked = []

    def overlaps(image):
        asked.append(image)
        return torch.zeros(1)

    targets, images = targets_of([[K], [K], [K]]), torch.arange(3)[:, None]
    weigh(targets, images, read({'negatives': 'none'}, {'negatives': 'overlap'}, {}), overlaps)
    assert asked == [1]
    with pytest.raises(ValueError, match="no policy of negatives that looks at overlaps; use 'soft'"):
        weigh(targets, images, read({}, {'negatives': 'overlap'}, {}))


def test_where_images_say_nothing_everything_is_the_very_same_object():
    targets, images = targets_of([[0, K]]), torch.zeros(1, 1, dtype=torch.long)
    logits, labels, weights = torch.zeros(2, 3), targets.labels[0], targets.label_weights[0]
    ones = {'bbox_head.loss_weight': 1, 'bbox_head.negative_weight': 1, 'negatives': 'all', 'unlabeled_classes': []}
    for directives in (None, read({}), read(ones)):
        assert weigh(targets, images, directives) is targets
        same = mask_negatives(logits, labels, weights, images.expand(1, 2)[0], directives)
        assert same[0] is logits and same[1] is weights
        assert row_weights(images[0], directives) is None
    only_classes = weigh(targets, images, read({'unlabeled_classes': [0]}))
    assert only_classes is targets


def test_weights_of_rows():
    directives = read({'roi_head.loss_weight': 4}, {})
    assert row_weights(torch.tensor([1, 0, 0]), directives).tolist() == [1, 4, 4]


def test_recorded_targets_are_the_weighed_ones_and_their_weights_have_a_gradient():
    class Notes:
        targets = None

        def note_weights(self, loss_weights, img_metas):
            pass

        def note_targets(self, *noted):
            self.targets = noted

    notes = Notes()
    directives = read({}, {'bbox_head.loss_weight': 2}, record=notes)
    images = torch.tensor([[0], [1]])
    got = weigh(targets_of([[0, K], [K, K]]), images, directives)
    assert notes.targets == (got, images, directives)
    losses = torch.tensor([[1.0, 2], [3, 4]])
    (grad,) = torch.autograd.grad((got.label_weights * losses).sum(), directives.loss_weights)
    assert grad.tolist() == [3, 7]  # the sum of losses of each image


def masked(logits, labels, images, *metas, **kwargs):
    return mask_negatives(logits, labels, torch.ones(len(labels)), images, read(*metas, **kwargs))


def test_background_of_a_softmax_becomes_background_or_any_unlabelled_class():
    logits = torch.tensor([[1.0, 2.0, 0.5], [1.0, 2.0, 0.5], [0.0, 1.0, 0.0]], requires_grad=True)
    labels, images = torch.tensor([K, 0, K]), torch.tensor([1, 1, 0])
    got, weights = masked(logits, labels, images, {}, {'unlabeled_classes': [1]})
    losses = functional.cross_entropy(got, labels, reduction='none')
    p = logits.detach().softmax(1)
    want = -torch.stack([p[0, 1] + p[0, 2], p[1, 0], p[2, 2]]).log()
    torch.testing.assert_close(losses.detach(), want)
    losses[0].backward()
    # d/dz of -log(p1 + p2): p minus the fraction within the allowed
    fraction = torch.tensor([0, p[0, 1], p[0, 2]]) / (p[0, 1] + p[0, 2])
    torch.testing.assert_close(logits.grad[0], p[0] - fraction)
    assert weights.tolist() == [1, 1, 1] and not logits.grad[1:].any()


@pytest.mark.parametrize(('softmax', 'channels'), [(True, 3), (False, 2)])
def test_image_without_any_labelled_class_teaches_its_negatives_nothing(softmax, channels):
    torch.manual_seed(0)
    logits = torch.randn(2, channels, requires_grad=True)
    labels = torch.tensor([K, K])
    got, _ = masked(logits, labels, torch.tensor([0, 0]), {'labeled_classes': []}, softmax=softmax)
    if softmax:
        loss = functional.cross_entropy(got, labels)
    else:
        loss = functional.binary_cross_entropy_with_logits(got, torch.zeros(2, 2))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6) and logits.grad.abs().max() < 1e-6


def test_unlabelled_classes_have_no_part_in_the_sigmoids_of_negatives():
    logits = torch.tensor([[1.0, 2.0], [1.0, 2.0]], requires_grad=True)
    labels = torch.tensor([K, 0])
    got, _ = masked(logits, labels, torch.tensor([0, 0]), {'unlabeled_classes': [1]}, softmax=False)
    target = torch.tensor([[0.0, 0], [1, 0]])
    losses = functional.binary_cross_entropy_with_logits(got, target, reduction='none')
    losses.sum().backward()
    assert losses[0, 1] == 0 == logits.grad[0, 1]
    assert losses[0, 0] > 0 and losses[1, 1] > 0 and logits.grad[1, 1] > 0


def test_negatives_that_score_as_objects_have_no_weight():
    logits = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 3.0], [3.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    labels, images = torch.tensor([K, K, 0, K]), torch.tensor([0, 0, 0, 1])
    metas = [{'negatives': dict(type='recalibrate', score_thr=0.6, warmup=5)}, {}]
    same, weights = masked(logits, labels, images, *metas, iteration=5)
    assert same is logits and weights.tolist() == [0, 1, 1, 1]
    assert masked(logits, labels, images, *metas, iteration=4)[1].tolist() == [1, 1, 1, 1]
    score = math.exp(3) / (math.exp(3) + 2)
    for threshold, weight in ((score + 1e-3, 1), (score - 1e-3, 0)):
        meta = {'negatives': dict(type='recalibrate', score_thr=threshold, warmup=0)}
        assert masked(logits, labels, images, meta, {})[1][0] == weight


def test_masking_the_rows_of_a_batch_equals_a_loop_over_them():
    torch.manual_seed(0)
    metas = [{'unlabeled_classes': [0]}, {'negatives': dict(type='recalibrate', score_thr=0.4, warmup=0)}, {}]
    logits, labels, images = torch.randn(40, 3), torch.randint(0, 3, (40,)), torch.randint(0, 3, (40,))
    got_logits, got_weights = masked(logits, labels, images, *metas)
    for row in range(40):
        image, negative = int(images[row]), labels[row] == K
        probabilities = logits[row].softmax(0)
        doubtful = bool(negative and image == 1 and probabilities[:K].max() > 0.4)
        assert got_weights[row] == 1 - doubtful
        if negative and image == 0:
            want = torch.stack([torch.tensor(0.0), probabilities[1], probabilities[0] + probabilities[2]])
            torch.testing.assert_close(got_logits[row].softmax(0), want)
        else:
            assert got_logits[row].equal(logits[row])


def test_half_precision_is_merged_in_full_and_positives_keep_their_values():
    logits = torch.tensor([[1.0, 2.0, 0.5], [1.0, 2.0, 0.5]], dtype=torch.bfloat16)
    got, _ = masked(logits, torch.tensor([K, 0]), torch.tensor([0, 0]), {'unlabeled_classes': [1]})
    assert got.dtype == torch.float32 and got[1].equal(logits[1].float())
    assert got[0, 2].item() == pytest.approx(math.log(math.exp(2) + math.exp(0.5)))


def test_a_softmax_with_other_channels_than_classes_and_background_is_refused():
    with pytest.raises(ValueError, match='3 in all; this loss has 4'):
        masked(torch.zeros(1, 4), torch.tensor([K]), torch.tensor([0]), {'labeled_classes': []})


def test_weights_of_objects_by_hand():
    """Of image 0 the objects weigh (2, 5) and (0.5, 0); image 1, whose weight is 3, has one that weighs 0.25."""
    pairs, plain = torch.tensor([[2.0, 5], [0.5, 0]]), torch.tensor([0.25])
    directives = read({OBJECT_WEIGHTS: pairs}, {OBJECT_WEIGHTS: plain, 'bbox_head.loss_weight': 3})
    targets = targets_of([[0, 1, 0], [1, K, K]], [[1.0, 1, 1], [1, 2, 0]])
    objects = torch.tensor([[1, 0, 1], [0, 0, 7]])  # numbers of negatives are not read
    images = torch.tensor([[0], [1]])
    got = weigh(targets, images, directives, objects=lambda: objects)
    assert got.label_weights.tolist() == [[0.5, 2, 0.5], [0.75, 6, 0]]
    assert got.bbox_weights[..., 0].tolist() == [[0, 5, 0], [0.75, 0, 0]]
    rows = row_weights(torch.tensor([0, 0, 1]), directives, torch.tensor([1, 0, 0]))
    assert rows.tolist() == [0, 5, 0.75]
    for call in (lambda: weigh(targets, images, directives), lambda: row_weights(images[:, 0], directives)):
        with pytest.raises(ValueError, match='gt_weights: this head cannot tell which object'):
            call()


def test_weights_of_objects_count_in_heads_of_objects_whether_directives_are_on_or_off():
    metas = [{OBJECT_WEIGHTS: torch.tensor([2.0])}, {'bbox_head.loss_weight': 9}]
    found = HeadDirectives(['bbox_head']).read(metas, K, True, CPU)
    assert found.object_weights.tolist() == [[[2, 2]], [[1, 1]]] and found.loss_weights.tolist() == [1, 1]
    assert HeadDirectives(['semantic_head']).read(metas, K, True, CPU) is None
    assert HeadDirectives(['bbox_head']).read(metas[1:], K, True, CPU) is None
    assert object_weights([{OBJECT_WEIGHTS: torch.zeros(0)}], CPU).tolist() == [[[1, 1]]]


@pytest.mark.parametrize(
    ('weights', 'message'),
    [
        ([torch.ones(1)], 'those of 2 images, got 1'),
        ([torch.ones(1), torch.ones(3)], r'image 1 b.jpg: .*\(2,\) or \(2, 2\)'),
        ([torch.ones(1), torch.ones(2, 3)], r'got \(2, 3\)'),
    ],
)
def test_weights_that_are_not_one_for_each_object_are_refused(weights, message):
    metas = [dict(filename='a.jpg'), dict(filename='b.jpg')]
    with pytest.raises(ValueError, match=message):
        with_object_weights(metas, weights, [torch.zeros(1, 4), torch.zeros(2, 4)])
    assert metas == [dict(filename='a.jpg'), dict(filename='b.jpg')]
