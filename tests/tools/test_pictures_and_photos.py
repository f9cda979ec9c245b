"""Tools that write pictures: one for each image, all inside their folder, and never over a photo."""

import json
import pickle

import pytest
from mmcv import Config
from tool_process import run_tool

PHOTOS = 2  # of each of the four joined data sets


@pytest.fixture
def joined(world, tmp_path):
    """A config of four joined data sets whose images all have the names ``0.png`` and ``1.png`` in the end."""
    content = json.loads((world / 'ann.json').read_text())
    cfg = Config.fromfile(str(world / 'tiny.py'))
    folders = [tmp_path / 'photos' / name for name in ('plain', 'equal', 'absolute', 'above')]
    names = ['{}', '{}', f'{folders[2]}/{{}}', '../above/{}']
    parts = []
    for folder, name in zip(folders, names):
        folder.mkdir(parents=True)
        images = [dict(image, file_name=name.format(image['file_name'])) for image in content['images'][:PHOTOS]]
        for i in range(PHOTOS):
            (folder / f'{i}.png').write_bytes((world / f'img/{i}.png').read_bytes())
        anns = [ann for ann in content['annotations'] if ann['image_id'] < PHOTOS]
        path = folder.parent / f'{folder.name}.json'
        path.write_text(json.dumps(dict(content, images=images, annotations=anns)))
        parts.append(dict(type='CocoDataset', classes=('red', 'green'), ann_file=str(path), img_prefix=str(folder)))
    for split in ('train', 'test'):
        own = [dict(part, pipeline=cfg.data[split].pipeline) for part in parts]
        cfg.data[split] = dict(type='ConcatDataset', datasets=own)
    cfg.custom_keys = ['norm', 'source', 'train_pipeline', 'test_pipeline']
    values = cfg._cfg_dict.to_dict().items()
    (tmp_path / 'joined.py').write_text(''.join(f'{key} = {value!r}\n' for key, value in values))
    results = pickle.loads((world / 'results.pkl').read_bytes())[:PHOTOS] * 4
    (tmp_path / 'results.pkl').write_bytes(pickle.dumps(results))
    return tmp_path


TOOLS = {
    'test': ('tools/test.py', 'CONFIG', 'WEIGHTS', '--show-dir', 'OUT', '--cfg-options', 'audit.enable=False'),
    'browse': ('tools/misc/browse_dataset.py', 'CONFIG', '--output-dir', 'OUT', '--not-show'),
    'analyze': ('tools/analysis_tools/analyze_results.py', 'CONFIG', 'RESULTS', 'OUT'),
    'report': ('tools/analysis_tools/report.py', 'CONFIG', 'WORK', '--results', 'RESULTS', '--pictures-dir', 'OUT'),
    'predict': ('demo/image_demo.py', 'PHOTOS', 'CONFIG', 'WEIGHTS', '--out-dir', 'OUT'),
}


def files_below(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def run(name, joined, world, out):
    """Run a tool; gives how it ended and the pictures that came to be, in ``out`` and elsewhere."""
    values = dict(
        CONFIG=joined / 'joined.py',
        WEIGHTS=world / 'weights.pth',
        RESULTS=joined / 'results.pkl',
        PHOTOS=joined / 'photos',
        OUT=out,
        WORK=joined / 'work',
    )
    (joined / 'work').mkdir(exist_ok=True)
    done = run_tool(*[values.get(part, part) for part in TOOLS[name]], check=False)
    return done, {path for path in files_below(joined) if path.suffix in ('.png', '.jpg')}


@pytest.mark.parametrize('name', TOOLS)
def test_each_photo_has_a_picture_inside_the_folder_and_stays(joined, world, name):
    before, out = files_below(joined), joined / 'photos/out'
    for _ in range(2 if name == 'predict' else 1):  # which must not take its own pictures for photos
        done, pictures = run(name, joined, world, out)
        assert done.status == 0, done.text
        new = pictures - set(before)
        assert len(new) == 4 * PHOTOS and all(path.is_relative_to(out) for path in new)
    after = files_below(joined)
    assert all(after[path] == content for path, content in before.items())


# the pictures of the others have other endings than these photos, or numbers in their names
@pytest.mark.parametrize('name', ['test', 'browse', 'predict'])
def test_folder_whose_photos_would_be_replaced_is_refused_at_the_start(joined, world, name):
    before = files_below(joined)
    done, _ = run(name, joined, world, joined / 'photos/equal')
    assert done.status == 1 and 'photos/equal' in done.error and 'give another folder' in done.error.lower(), done.text
    assert files_below(joined) == before


def test_gif_over_one_of_its_pictures_is_refused(world):
    before = files_below(world / 'img')
    done = run_tool('demo/create_result_gif.py', world / 'img', '--out', world / 'img/3.png', check=False)
    assert done.status == 1 and 'img/3.png is an input' in done.error
    assert files_below(world / 'img') == before
