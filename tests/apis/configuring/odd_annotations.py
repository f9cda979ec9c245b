"""Annotations in odd but common forms: what the tests of readers share."""

W, H = 80, 40  # px
CAT = ('cat', 10, 5, 20, 20)  # class, x, y, w, h px


def boxes_of(annotations):
    """File -> its objects as (class, x, y, w, h)."""
    names = {category['id']: category['name'] for category in annotations.content['categories']}
    files = {image['id']: image['file_name'] for image in annotations.content['images']}
    found = {file: [] for file in files.values()}
    for ann in annotations.content['annotations']:
        found[files[ann['image_id']]].append((names[ann['category_id']], *ann['bbox']))
    return found
