"""Names of classes."""

import numpy as np
import pytest

from mmdet.datasets.formats.class_names import instance_table, read_class_names


def test_names_come_from_a_list_or_from_a_file(tmp_path):
    assert read_class_names(('a', 'b')) == ('a', 'b')
    path = tmp_path / 'names.txt'
    path.write_text('\ufeffcat\ndog\n', encoding='utf-8')
    assert read_class_names(str(path)) == ['cat', 'dog']


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        ('cat', r"for one class write \('cat',\)"),
        (3, 'expected a list or tuple of names'),
        (['a', ''], "must be texts, got ''"),
        (['a', 'b', 'a '], "'a' is there more than once"),
    ],
)
def test_what_is_no_list_of_names_is_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        read_class_names(classes)


def test_the_table_counts_objects_of_all_images():
    rows = instance_table(['cat', 'dog'], [np.array([1, 1]), np.zeros(0, int), np.array([0, 1])]).splitlines()
    assert [row.split() for row in rows if 'cat' in row or 'dog' in row] == [
        ['|', 'cat', '|', '1', '|'], ['|', 'dog', '|', '3', '|']
    ]  # fmt: skip
