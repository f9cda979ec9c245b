"""Objects365: images that are left out."""

import json

from mmdet.core.evaluation import class_lists
from mmdet.datasets import Objects365V2Dataset


def test_broken_images_of_version_2_are_left_out(tmp_path):
    names = ('images/v1/patch6/objects365_v1_00320532.jpg', 'images/v2/patch16/objects365_v2_00900000.jpg')
    content = dict(
        images=[dict(id=i, file_name=name, width=64, height=48) for i, name in enumerate(names)],
        annotations=[
            dict(id=i, image_id=i, category_id=1, bbox=[0, 0, 9, 9], area=81, iscrowd=0) for i in range(len(names))
        ],
        categories=[dict(id=1, name=class_lists.OBJECTS365V2[0])],
    )
    path = tmp_path / 'objects.json'
    path.write_text(json.dumps(content))
    for test_mode in (True, False):
        dataset = Objects365V2Dataset(str(path), [], test_mode=test_mode)
        assert [info['filename'] for info in dataset.data_infos] == ['patch16/objects365_v2_00900000.jpg']
        assert dataset.img_ids == [1]
        assert dataset.get_ann_info(0)['bboxes'].tolist() == [[0, 0, 9, 9]]
