"""What words of a command line name."""

import cv2
import numpy as np
import pytest

from mmdet.apis.image_input import ImageSourceError
from mmdet.apis.prediction.sources import open_source


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(('a.png', 'sub/b.jpg', 'out/c.png')):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.full((8, 8, 3), 40 * number, np.uint8))
    writer = cv2.VideoWriter(str(tmp_path / 'clip.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 10, (32, 24))
    for grey in range(0, 250, 50):
        writer.write(np.full((24, 32, 3), grey, np.uint8))
    writer.release()
    return tmp_path


def names(source):
    return [item.name for item in source.items()]


def test_image_and_folder_keep_names_and_leave_old_outputs_out(folder):
    assert names(open_source(str(folder / 'sub/b.jpg'))) == ['b.jpg']
    with pytest.raises(ImageSourceError, match=r'no earlier run has noted in .*images.json \(1, such as c.png\)'):
        open_source(str(folder), skip=folder / 'out')
    (folder / 'out/images.json').write_text('{"images": [{"file_name": "c.png"}]}')
    source = open_source(str(folder), skip=folder / 'out')
    assert names(source) == ['a.png', 'sub/b.jpg'] and source.length == 2 and source.root == folder
    assert 'out/c.png' in names(open_source(str(folder), skip=folder))


def test_list_is_relative_to_its_folder_or_the_current_one(folder, monkeypatch):
    (folder / 'images.txt').write_text(f'# two\nsub/b.jpg\n\n{folder}/a.png\n')
    assert names(open_source(str(folder / 'images.txt'))) == ['sub/b.jpg', 'a.png']
    (folder / 'sub/images.txt').write_text('a.png\nmissing.png\n')
    monkeypatch.chdir(folder)
    source = open_source(str(folder / 'sub/images.txt'))
    assert names(source) == ['a.png', 'missing.png']
    (folder / 'empty.txt').write_text('\n')
    with pytest.raises(ImageSourceError, match='empty.txt lists no image'):
        open_source(str(folder / 'empty.txt'))


def test_video_gives_numbered_frames(folder):
    source = open_source(str(folder / 'clip.avi'))
    assert names(source) == [f'clip/{n:06d}.jpg' for n in range(1, 6)]
    assert (source.length, source.fps, source.root, source.title) == (5, 10, None, 'clip')


def test_frames_are_skipped_and_counted(folder):
    source = open_source(str(folder / 'clip.avi'), step=2)
    items = list(source.items())
    assert [item.name for item in items] == ['clip/000001.jpg', 'clip/000003.jpg', 'clip/000005.jpg']
    assert [round(float(item.image.mean()), -1) for item in items] == [0, 100, 200]
    assert (source.length, source.fps) == (3, 5)
    assert len(names(open_source(str(folder / 'clip.avi'), max_frames=2))) == 2


@pytest.mark.parametrize(
    ('name', 'says'),
    [
        ('missing.png', 'there is no .*missing.png; expected an image, a folder'),
        ('missing.mp4', 'video file not found'),
        ('broken.mp4', 'broken.mp4 cannot be read as a video'),
    ],
)
def test_what_is_missing_or_broken_is_named(folder, name, says):
    (folder / 'broken.mp4').write_bytes(b'no video')
    with pytest.raises(ImageSourceError, match=says):
        open_source(str(folder / name))


def test_list_with_a_mark_is_read_and_one_of_another_encoding_is_refused(folder):
    (folder / 'marked.txt').write_bytes('a.png\r\n'.encode('utf-8-sig'))
    assert [item.name for item in open_source(str(folder / 'marked.txt')).items()] == ['a.png']
    (folder / 'other.txt').write_bytes('bär.png'.encode('latin-1'))
    with pytest.raises(ImageSourceError, match='other.txt is no text in UTF-8'):
        open_source(str(folder / 'other.txt'))


def test_missing_camera_is_named():
    with pytest.raises(ImageSourceError, match='camera 97 is not there'):
        open_source('97')
