import pytest
from coco_files import coco_content

from mmdet.datasets.api_wrappers.coco_api import COCO


def test_index_with_snake_case_names(write_coco, capsys):
    api = COCO(write_coco(coco_content([[(5, 0, 0, 9, 9), (7, 0, 0, 2, 2)], [(7, 0, 0, 9, 9)]])))
    assert api.get_cat_ids(cat_names=['dog']) == [7]
    assert api.get_ann_ids(img_ids=[1], cat_ids=[7]) == [2]
    assert api.get_ann_ids(area_rng=[0, 5]) == [2]
    assert sorted(api.get_img_ids(cat_ids=[7])) == [1, 2]
    assert api.load_anns([3])[0]['image_id'] == 2
    assert api.load_cats(5)[0]['name'] == 'cat'
    assert api.load_imgs([2])[0]['file_name'] == '2.png'
    assert [ann['id'] for ann in api.img_ann_map[1]] == [1, 2]
    assert api.cat_img_map[7] == [1, 2]
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"images": [', 'ann.json is no valid JSON'),
        ('[1]', 'expected a JSON object'),
        ('{"images": [{"file_name": "a"}], "annotations": []}', 'id of 1 images must be a number or a text'),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, text, message):
    path = tmp_path / 'ann.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        COCO(str(path))
