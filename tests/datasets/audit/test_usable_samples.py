from types import SimpleNamespace

import pytest

from mmdet.datasets.audit.broken_images import BrokenImageError, BrokenImages
from mmdet.datasets.audit.usable_samples import first_usable, naming_broken_file


class Images:
    """Three images, of which one is broken and one gives nothing to train on."""

    ann_file, img_prefix, test_mode, num_broken = 'a.json', '', False, 0
    data_infos = [dict(filename=f'{i}.jpg') for i in range(3)]
    pipeline = SimpleNamespace(transforms=[])

    def prepare_train_img(self, idx):
        if idx == 0:
            raise BrokenImageError('0.jpg is cut off')
        return None if idx == 1 else idx

    def _rand_another(self, idx):
        return idx + 1


def test_unusable_images_give_way_and_broken_ones_are_noted():
    broken = BrokenImages(3)
    assert first_usable(Images(), 0, broken) == 2
    assert 0 in broken and len(broken) == 1


def test_without_a_book_the_first_broken_image_is_an_error_that_says_where_and_what_helps():
    with pytest.raises(BrokenImageError, match=r'0.jpg is cut off \(image 0 of a.json\); skip_broken=True'):
        first_usable(Images(), 0, None)
    dataset = Images()
    dataset.test_mode = True
    with pytest.raises(BrokenImageError, match=r'tools/test.py --skip-broken'):
        naming_broken_file(dataset, dataset.prepare_train_img, 0)


def test_errors_of_other_causes_stay():
    with pytest.raises(ZeroDivisionError):
        naming_broken_file(Images(), lambda idx: idx // 0, 2)


def test_images_without_end_that_are_not_usable(monkeypatch):
    monkeypatch.setattr('mmdet.datasets.audit.usable_samples.MAX_REFETCH', 2)
    dataset = Images()
    dataset._rand_another = lambda idx: 1
    with pytest.raises(RuntimeError, match='2 images in turn, from 1.jpg on'):
        first_usable(dataset, 1, None)
