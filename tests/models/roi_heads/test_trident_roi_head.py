import pytest
import torch
from mmcv import ConfigDict

from mmdet.models.builder import build_head


@pytest.fixture
def make_head(roi_head_cfg, rcnn_cfg):
    def make(kind='TridentRoIHead', **kwargs):
        torch.manual_seed(0)
        train_cfg, test_cfg = rcnn_cfg
        settings = dict(test_cfg={**test_cfg, 'score_thr': 0.0, 'max_per_img': 4}, train_cfg=train_cfg)
        return build_head(ConfigDict(type=kind, **roi_head_cfg, **settings, **kwargs))

    return make


def test_merging_suppresses_over_the_branches_and_keeps_the_best(make_head):
    head = make_head(num_branch=2, test_branch_idx=-1)
    dets = torch.tensor(
        [[0.0, 0, 10, 10, 0.5], [50, 50, 60, 60, 0.3], [0, 0, 10, 11, 0.9], [0, 0, 10, 10, 0.4], [80, 0, 90, 9, 0.1]]
    )
    merged, labels = head.merge_trident_bboxes(dets, torch.tensor([0, 1, 0, 2, 0]))
    assert merged.tolist() == dets[[2, 3, 1, 4]].tolist() and labels.tolist() == [0, 2, 1, 0]
    assert len(head.merge_trident_bboxes(torch.cat([dets, dets + 100]), torch.zeros(10).long())[0]) == 4


def test_merging_nothing_gives_nothing(make_head):
    merged, labels = make_head(num_branch=2, test_branch_idx=-1).merge_trident_bboxes(
        torch.zeros(0, 5), torch.zeros(0).long()
    )
    assert merged.shape == (0, 5) and labels.shape == (0,)


def test_branches_of_an_image_are_found_behind_each_other(make_head, roi_batch):
    """Two branches that see the same give what one gives, for each of two images."""
    x, proposals, metas = roi_batch['x'], roi_batch['proposal_list'], roi_batch['img_metas']
    twice = [torch.cat([f, f]) for f in x]
    both = make_head(num_branch=2, test_branch_idx=-1).simple_test(twice, proposals * 2, metas * 2)
    one = make_head(num_branch=2, test_branch_idx=1).simple_test(x, proposals, metas)
    plain = make_head('StandardRoIHead').simple_test(x, proposals, metas)
    torch.testing.assert_close(both, plain)
    torch.testing.assert_close(one, plain)


def test_views_are_averaged_over_all_branches(make_head, roi_batch):
    x, proposals, metas = ([f[:1] for f in roi_batch['x']], roi_batch['proposal_list'][:1], roi_batch['img_metas'][0])
    metas = [[dict(metas, flip=False, flip_direction=None, scale_factor=1.0)]]
    head, plain = make_head(num_branch=2, test_branch_idx=-1), make_head('StandardRoIHead')
    both = head.aug_test([[torch.cat([f, f]) for f in x]], proposals * 2, metas, rescale=True)
    one = plain.aug_test([x], proposals, metas, rescale=True)
    for found, wanted in zip(both[0], one[0], strict=True):
        torch.testing.assert_close(found, wanted)
