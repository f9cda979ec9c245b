"""The estimate of missing labels, against sets of drawn shapes of which it is known what is missing."""

import numpy as np
import pytest
from incomplete_shapes import CLASSES, detect, detections, draw, labelled, without

from mmdet.apis.label_errors import LabelledImage, detections_of, estimate_missing_rates, match_image
from mmdet.apis.label_errors.missing_rate import Groups, best_threshold, binomial_interval, missing_objects

RATES = dict(complete={}, few={1: 0.1, 2: 0.1, 3: 0.1}, half={1: 0.5, 2: 0.5, 3: 0.5}, uneven={1: 0.7, 2: 0.3, 3: 1.0})


@pytest.fixture(scope='module')
def estimates(tmp_path_factory):
    """Source and class (None: all) -> estimate, missing rate in truth."""
    content = draw(tmp_path_factory.mktemp('shapes'), dict(all=220), write_images=False)['all']
    images, matches, truth = [], [], {}
    for number, source in enumerate(RATES):
        left, lost = without(content, RATES[source], number)
        images += labelled(left, source)
        found = [detections_of(result) for result in detect(content, number)]
        matches += [match_image(image, one) for image, one in zip(images[-len(found) :], found)]
        for category in (None, 1, 2, 3):
            rows = [row for row in content['annotations'] if category in (None, row['category_id'])]
            name = None if category is None else CLASSES[category - 1]
            truth[source, name] = sum(row['id'] in lost for row in rows) / len(rows)
    return {
        (r.source, r.category): (r, truth[r.source, r.category])
        for r in estimate_missing_rates(images, matches, CLASSES)
    }


@pytest.mark.parametrize('source', RATES)
def test_rate_of_a_data_set_is_within_a_tenth_of_the_truth(estimates, source):
    rate, truth = estimates[source, None]
    assert abs(rate.rate - truth) <= 0.1
    assert rate.low <= rate.rate <= rate.high and rate.low - 0.05 <= truth <= rate.high + 0.05


@pytest.mark.parametrize('source', RATES)
@pytest.mark.parametrize('category', CLASSES)
def test_rate_of_a_class_is_within_a_tenth_of_the_truth_or_its_interval_says_so(estimates, source, category):
    rate, truth = estimates[source, category]
    assert abs(rate.rate - truth) <= 0.1 or rate.low <= truth <= rate.high
    assert rate.high - rate.low < 0.6


def test_class_that_nobody_annotated_is_missing_altogether(estimates):
    rate, _ = estimates['uneven', 'triangle']
    assert rate.annotated == 0 and rate.rate == 1 and rate.low > 0.8 and rate.missing > 30


def objects(count):
    """An image with objects in a row, 10 px wide."""
    boxes = np.asarray([(20 * i, 0, 20 * i + 10, 10) for i in range(count)], np.float32).reshape(-1, 4)
    return LabelledImage('a', 1, 'a.png', boxes, np.zeros(count, np.int64), np.arange(count), np.zeros((0, 4)))


def test_ratio_counts_free_places_from_the_best_threshold_on():
    # 40 objects of which 30 are found at 0.9, and 10 free places there: a third of them more; at 0.2 only clutter
    rows = [(20 * i, 0, 20 * i + 10, 10, 0.9, 0) for i in range(30)]
    rows += [(20 * i, 40, 20 * i + 10, 50, 0.9, 0) for i in range(10)]
    rows += [(20 * i, 80, 20 * i + 10, 90, 0.2, 0) for i in range(200)]
    image = objects(40)
    matches = [match_image(image, detections(*rows))]
    group = Groups([image], matches).find()
    assert best_threshold(group, np.ones(1)) == (pytest.approx(0.9), 30)
    missing, threshold = missing_objects(group, group, np.ones(1))
    assert missing == pytest.approx(10 / (30 / 40)) and threshold == pytest.approx(0.9)
    rate = estimate_missing_rates([image], matches, ('one',))[0]
    assert rate.rate == pytest.approx(0.25) and rate.annotated == 40
    # one image: drawing it anew says nothing, the exact interval of 10 in 40 does
    assert (rate.low, rate.high) == (pytest.approx(0.1269, abs=1e-3), pytest.approx(0.4120, abs=1e-3))


def test_nothing_is_said_where_nothing_was_found():
    image = objects(30)
    rates = estimate_missing_rates([image], [match_image(image, detections())], ('one',))
    assert all(np.isnan(rate.rate) and (rate.low, rate.high) == (0, 1) for rate in rates)


def test_small_class_borrows_threshold_and_recall_from_a_larger_group():
    images = [objects(30)._replace(source='large'), objects(3)._replace(source='small')]
    found = [detections(*[(20 * i, 0, 20 * i + 10, 10, 0.8, 0) for i in range(15)])]
    found.append(detections((0, 0, 10, 10, 0.8, 0), (0, 40, 10, 50, 0.9, 0), (0, 80, 10, 90, 0.1, 0)))
    matches = [match_image(image, one) for image, one in zip(images, found)]
    by_source = {rate.source: rate for rate in estimate_missing_rates(images, matches, ('one',)) if rate.category}
    # 16 of 33 annotated objects were found; one free place of that score therefore stands for 33 / 16 missing ones
    assert by_source['small'].missing == pytest.approx(33 / 16)
    assert by_source['small'].threshold == pytest.approx(0.8) and by_source['large'].missing == 0


def test_exact_interval_of_known_proportions():
    assert binomial_interval(0, 10) == (0, pytest.approx(0.3085, abs=1e-4))
    assert binomial_interval(5, 5) == (pytest.approx(0.1871, abs=1e-4), pytest.approx(0.8129, abs=1e-4))
    assert binomial_interval(3, 0) == (pytest.approx(0.2924, abs=1e-4), 1)
