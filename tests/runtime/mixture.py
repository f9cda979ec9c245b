"""Two sources made of the drawn data set, the second without the class ``green``, and a config that mixes them."""

import json
from pathlib import Path

from tiny import write_config

EXTRA = """
real = dict(data['train'], name='real')
real.pop('classes')
synthetic = dict(real, name='synthetic', ann_file='{folder}/synthetic.json')
data['train'] = dict(
    type='ConcatDataset', classes={classes}, rename=dict(crimson='red'), datasets=[real, synthetic])
data['train_dataloader'] = dict({dataloader})
per_source_log = True
checkpoint_config = dict(interval=2)
"""


def write_mixture(folder: Path, dataloader: str = 'source_ratio=[1, 1]', extra: str = '') -> Path:
    """The config ``tiny.py`` for data in ``folder``, with the two sources; ``synthetic`` has the first 4 images."""
    content = json.loads((folder / 'ann.json').read_text())
    ids = {image['id'] for image in content['images'][:4]}
    red = [ann for ann in content['annotations'] if ann['image_id'] in ids and ann['category_id'] == 1]
    category = [dict(id=1, name='crimson')]
    synthetic = dict(images=content['images'][:4], annotations=red, categories=category)
    (folder / 'synthetic.json').write_text(json.dumps(synthetic))
    values = dict(folder=folder, classes=('red', 'green'), dataloader=dataloader)
    return write_config(folder, EXTRA.format(**values) + extra)
