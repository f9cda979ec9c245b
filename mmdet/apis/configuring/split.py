"""A validation set out of a training set."""

from typing import Any

EVERY = 5  # one image of so many is for validation


def split_content(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of a COCO file in two: training, and every fifth image, by file name, for validation."""
    images = sorted(content['images'], key=lambda image: str(image['file_name']))
    chosen = {image['id'] for i, image in enumerate(images) if i % EVERY == EVERY - 1}
    if not chosen and len(images) > 1:
        chosen = {images[-1]['id']}
    parts = []
    for wanted in (False, True):
        kept = [image for image in content['images'] if (image['id'] in chosen) == wanted]
        annotations = [ann for ann in content['annotations'] if (ann['image_id'] in chosen) == wanted]
        parts.append({**content, 'images': kept, 'annotations': annotations})
    return parts[0], parts[1]
