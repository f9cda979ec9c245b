"""Dense heads and the weights of single objects: linear in each, or refused by name."""

import pytest
import test_directives_of_dense_heads as older
import test_zoo1_sweep as newer
import torch

from mmdet.core.directives import OBJECT_WEIGHTS

REFUSING = {
    'GARetinaHead', 'GARPNHead', 'GuidedAnchorHead', 'CenterNetHead', 'CornerHead',
    'CentripetalHead', 'AutoAssignHead',
}  # fmt: skip
MEAN_OF_WEIGHTS = {'PISARetinaHead', 'PISASSDHead'}  # loss_carl is divided by its own weights
HEADS = [*((older, name) for name in older.PER_IMAGE), *((newer, name) for name in newer.CASES)]
NAMED = pytest.mark.parametrize(('sweep', 'name'), HEADS, ids=[name for _, name in HEADS])
built = {}


def losses(sweep, name, *of_second, given=True):
    """Losses of two images; of the objects of the second one, two in number, with weights."""
    metas = [{OBJECT_WEIGHTS: torch.ones(1)}, {OBJECT_WEIGHTS: torch.tensor(of_second)}] if given else [{}, {}]
    if name not in built:
        built[name] = sweep.make(name)
    return sweep.Ran(built[name], name, metas).losses


@NAMED
def test_losses_are_linear_in_the_weights_of_the_objects_or_refuse_them_by_name(sweep, name):
    if name in REFUSING:
        with pytest.raises(ValueError, match=rf'gt_weights: {name}\w* cannot tell which object'):
            losses(sweep, name, 1.0, 1)
        return
    plain, ones = losses(sweep, name, given=False), losses(sweep, name, 1.0, 1)
    first, second, both = (losses(sweep, name, *pair) for pair in ((3.0, 1), (1.0, 3), (3.0, 3)))
    no_boxes = losses(sweep, name, [1.0, 0], [1, 0])
    changed = 0
    for key, value in plain.items():
        torch.testing.assert_close(ones[key], value)
        if name not in MEAN_OF_WEIGHTS or 'carl' not in key:
            torch.testing.assert_close(first[key] + second[key], both[key] + value)
        changed += both[key] != value
        of_classes = key.endswith(('cls', 'conf', 'obj')) and key != 'loss_bbox_cls'
        assert no_boxes[key] == value if of_classes else no_boxes[key] < value, key
    assert changed == len(plain)
