"""Curves and times from logs."""

import pytest

from mmdet.utils.running.json_log import curve, epoch_times, measured_keys


def rows():
    out = []
    for epoch in (1, 2, 3, 4):
        out += [dict(mode='train', epoch=epoch, iter=i, loss=10 * epoch + i, time=i / 10) for i in (1, 2)]
        if epoch % 2 == 0:
            out.append(dict(mode='val', epoch=epoch, iter=5, bbox_mAP=epoch / 10, bbox_mAP_copypaste='text'))
    return out


def test_curve_of_a_loss_is_against_the_iteration():
    got = curve(rows(), 'loss', start_epoch=3)
    assert got.xs == [5, 6, 7, 8] and got.ys == [31, 32, 41, 42] and got.x_name == 'iter'


def test_curve_of_validation_is_against_the_epoch():
    assert curve(rows(), 'bbox_mAP') == ([2, 4], [0.2, 0.4], 'epoch')
    assert curve(rows(), 'bbox_mAP', start_epoch=2, eval_interval=4).xs == [4]


def test_curve_of_an_unknown_key_names_those_there_are():
    assert measured_keys(rows()) == ['loss', 'time', 'bbox_mAP']
    with pytest.raises(KeyError, match='It has: loss, time, bbox_mAP'):
        curve(rows(), 'acc')
    with pytest.raises(KeyError, match='no measured rows'):
        curve([], 'loss')


def test_epoch_times_leave_out_the_first_row_where_there_is_another():
    times = epoch_times(rows())
    assert times.epochs == [1, 2, 3, 4] and times.means == [0.2] * 4 and times.overall == pytest.approx(0.2)
    assert epoch_times(rows(), include_outliers=True).overall == pytest.approx(0.15)
    assert epoch_times(rows()[:1]).means == [0.1]
    with pytest.raises(KeyError, match='no rows'):
        epoch_times([])
