import pytest
import torch

LOW = -20.0  # a logit below every score threshold


@pytest.fixture
def head(build_head):
    """A head that takes the class logits (N, 2, 2, 2) themselves for features; deltas are 0."""
    head = build_head('AnchorHead', num_classes=2)
    head.forward = lambda feats: (list(feats), [torch.zeros(len(f), 4, 2, 2) for f in feats])
    return head


def version(label, y, x, logit):
    scores = torch.full((1, 2, 2, 2), LOW)
    scores[0, label, y, x] = logit
    return [scores]


def test_merging_keeps_each_box_with_its_class_and_score(head, meta):
    metas = [[meta()], [meta()]]
    versions = [version(0, 0, 0, 0.0), version(1, 1, 1, 1.0)]
    ((dets, labels),) = head.aug_test(versions, metas, rescale=True)
    torch.testing.assert_close(dets[:, :4], torch.tensor([[4.0, 4, 12, 12], [0, 0, 4, 4]]))
    torch.testing.assert_close(dets[:, 4], torch.tensor([1.0, 0.0]).sigmoid())
    assert labels.tolist() == [1, 0]


def test_merging_undoes_scale_and_flip(head, meta):
    """In a 16 px image (0, 4, 4, 12) is flipped to (12, 4, 16, 12); at twice the scale that is (6, 2, 8, 6)."""
    flipped = meta(scale_factor=[2.0] * 4, flip=True, flip_direction='horizontal')
    ((dets, _),) = head.aug_test([version(0, 1, 1, 2.0), version(0, 1, 0, 1.0)], [[meta()], [flipped]], rescale=True)
    assert dets[:, :4].tolist() == [[4, 4, 12, 12], [6, 2, 8, 6]]


def test_merging_suppresses_over_all_versions(head, meta):
    versions = [version(0, 1, 1, 2.0), version(0, 1, 1, 1.0)]
    ((dets, labels),) = head.aug_test(versions, [[meta()], [meta()]], rescale=True)
    assert dets[:, 4].tolist() == [pytest.approx(torch.tensor(2.0).sigmoid().item())]
    assert labels.tolist() == [0]


def test_merging_without_rescale_gives_pixels_of_the_first_version(head, meta):
    first = meta(scale_factor=[2.0, 4.0, 2.0, 4.0])
    ((dets, _),) = head.aug_test([version(0, 1, 1, 2.0)], [[first]])
    assert dets[0, :4].tolist() == [4, 4, 12, 12]


def test_head_that_cannot_leave_out_the_suppression_says_so(head, meta):
    head.get_bboxes = lambda cls_scores, bbox_preds, img_metas: None
    with pytest.raises(NotImplementedError, match='takes no with_nms'):
        head.aug_test([version(0, 1, 1, 2.0)], [[meta()]])


def test_proposals_are_merged_image_by_image(build_head, meta):
    head = build_head()
    head.forward = lambda feats: (list(feats), [torch.zeros(len(f), 4, 2, 2) for f in feats])
    logits = torch.full((2, 1, 2, 2), LOW)
    logits[0, 0, 0, 0], logits[1, 0, 1, 1] = 1.0, 2.0
    merged = head.aug_test_rpn([[logits], [logits]], [[meta(), meta()], [meta(), meta()]])
    assert [dets[0].tolist() for dets in merged] == [
        pytest.approx([0, 0, 4, 4, torch.tensor(1.0).sigmoid().item()]),
        pytest.approx([4, 4, 12, 12, torch.tensor(2.0).sigmoid().item()]),
    ]
