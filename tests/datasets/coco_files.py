"""Content of small annotation files in COCO's format."""

CATEGORIES = [dict(id=5, name='cat'), dict(id=7, name='dog')]


def coco_content(boxes_of_images, size_wh=(64, 48), categories=None):
    """COCO content; one list of (category id, x, y, w, h) for each image."""
    images = [
        dict(id=i, file_name=f'{i}.png', width=size_wh[0], height=size_wh[1])
        for i in range(1, len(boxes_of_images) + 1)
    ]
    anns = [
        dict(id=0, image_id=i, category_id=cat, bbox=box, area=box[2] * box[3], iscrowd=0)
        for i, boxes in enumerate(boxes_of_images, 1)
        for cat, *box in boxes
    ]
    for number, ann in enumerate(anns, 1):
        ann['id'] = number
    return dict(images=images, annotations=anns, categories=categories or CATEGORIES)
