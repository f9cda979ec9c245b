import numpy as np
import pytest

from mmdet.apis.test import collect_results_cpu, collect_results_gpu, encode_masks, interleave


@pytest.mark.parametrize(
    ('parts', 'size', 'want'),
    [
        ([[0, 2, 4], [1, 3, 0]], 5, [0, 1, 2, 3, 4]),
        ([[0, 2], [1]], 3, [0, 1, 2]),
        ([[], []], 0, []),
        ([[None, 2], [1, 3]], 4, [None, 1, 2, 3]),
    ],
)
def test_shares_interleave_without_what_was_repeated(parts, size, want):
    assert interleave(parts, size) == want


def test_single_process_collects_its_own_results_and_removes_the_folder(tmp_path):
    folder = tmp_path / 'parts'
    assert collect_results_cpu([1, 2, 3], 2, str(folder)) == [1, 2] and not folder.exists()
    assert collect_results_gpu([1, 2, 3], 2) == [1, 2]


def test_collecting_leaves_what_was_in_the_folder_of_the_user(tmp_path):
    (tmp_path / 'precious.txt').write_text('years of work')
    assert collect_results_cpu([1, 2], 2, str(tmp_path)) == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ['precious.txt']


def test_collecting_leaves_an_empty_folder_of_the_user(tmp_path):
    collect_results_cpu([1], 1, str(tmp_path))
    assert tmp_path.is_dir()


def test_collecting_without_a_folder_leaves_nothing_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert collect_results_cpu([1], 1) == [1] and list(tmp_path.iterdir()) == []


def test_masks_are_encoded_and_other_results_pass():
    boxes, mask = [np.zeros((1, 5))], np.ones((3, 4), dtype=bool)
    assert encode_masks(boxes) is boxes
    got_boxes, masks = encode_masks((boxes, [[mask]]))
    assert got_boxes is boxes and masks[0][0]['size'] == [3, 4]
    panoptic = encode_masks(dict(pan_results=1, ins_results=(boxes, [[mask]])))
    assert panoptic['pan_results'] == 1 and 'counts' in panoptic['ins_results'][1][0][0]
