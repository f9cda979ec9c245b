import copy

import pytest

from mmdet.models.roi_heads.functional.extra_head_params import DEFAULTS, lambda_schedule, merge_params


def merged(**given):
    return merge_params(DEFAULTS, given, 'extra_head_params')


def test_params_override_key_by_key_and_none_keeps_the_default():
    before = copy.deepcopy(DEFAULTS)
    given = dict(lambda_params=dict(init_epoch=2.5, power_factor=None, default_lambda='any'), with_grad_reversal=None)
    given_before = copy.deepcopy(given)
    params = merged(**given)
    assert params['lambda_params']['init_epoch'] == 2.5
    assert params['lambda_params']['power_factor'] == 3.0
    assert params['lambda_params']['default_lambda'] == 'any'
    assert params['with_grad_reversal'] is True
    assert params['image_instance_weight'] == (0.1, 1)
    params['lambda_params']['init_epoch'] = 99
    assert before == DEFAULTS and given == given_before


@pytest.mark.parametrize(
    'given, error, message',
    [
        (dict(with_grad_reversl=1), NameError, "'with_grad_reversl'; did you mean 'with_grad_reversal'"),
        (dict(lambda_params=dict(power=1.0)), NameError, "extra_head_params.lambda_params has no 'power'"),
        (dict(lambda_params=3), TypeError, 'expected a dict, got 3'),
        (dict(lambda_params=dict(power_factor=3)), TypeError, r'power_factor: expected a float.*write 3\.0'),
        (dict(lambda_params=dict(iters_per_epoch='9')), TypeError, "iters_per_epoch: .*got '9'"),
        (dict(with_grad_reversal=1), TypeError, 'with_grad_reversal: expected a bool'),
        (dict(image_instance_weight=[1.0]), ValueError, 'expected 2 numbers, got 1'),
        (dict(image_instance_weight=1.0), TypeError, 'expected 2 numbers, got 1.0'),
    ],
)
def test_wrong_params_are_named(given, error, message):
    with pytest.raises(error, match=message):
        merged(**given)


def test_schedule_needs_room_between_start_and_max():
    with pytest.raises(ValueError, match='max must be after start'):
        lambda_schedule(merged(lambda_params=dict(start_end_max_epoch=[5, 9, 5]))['lambda_params'])
