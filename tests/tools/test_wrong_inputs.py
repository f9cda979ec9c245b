"""Missing, damaged and swapped files end a script in one line, without its calls."""

import json
import pickle
import runpy
import sys

import pytest
from process import ROOT

from mmdet.utils.registry import did_you_mean  # noqa: F401 - the package is imported before a script's folder is first

CASES = [
    ('dataset_converters/coco_to_csv.py', '{cut} {out}', 'cut.json is no valid JSON'),
    ('dataset_converters/coco_filter.py', '{list} {out} --keep red', 'expected a JSON object with the lists'),
    ('dataset_converters/coco_split.py', '{folder}', 'Is a directory'),
    ('dataset_converters/cityscapes.py', '{cut}', 'there is none of train, val, test'),
    ('dataset_converters/images2coco.py', '{folder} {binary} {out}.json', 'binary.txt'),
    ('dataset_converters/make_shapes.py', '{cut}', 'is a file, and a folder is wanted|Not a directory'),
    ('dataset_converters/pascal_voc.py', '{folder}', 'expected a devkit'),
    ('model_converters/detectron2pytorch.py', '{empty} {out} 50', 'empty.pth: Ran out of input'),
    ('analysis_tools/coco_error_analysis.py', '{list} {out} --ann {good}', "expected COCO's list of detections"),
    ('analysis_tools/coco_error_analysis.py', '{good} {out} --ann {cut}', 'cut.json is no valid JSON'),
    ('analysis_tools/get_flops.py', '{cut}', 'cut.json cannot be read'),
    ('analysis_tools/mixing_report.py', '{list}', 'list.json is no config'),
    ('analysis_tools/coco_error_analysis.py', '{scoreless} {out} --ann {one}', 'image_id, category_id, score'),
    ('analysis_tools/coco_error_analysis.py', '{detected} {out} --ann {one}', 'category_id 9, .*one.json no such'),
    ('analysis_tools/coco_error_analysis.py', '{detected} {out} --ann {one} --types segm', "'segmentation' in each"),
    ('analysis_tools/analyze_logs.py', 'plot_curve {binary} --out {out}.png', 'binary.txt is no text'),
    ('analysis_tools/analyze_logs.py', 'plot_curve {log} --keys mode --out {out}.png', "no 'mode'.* It has: loss"),
    ('analysis_tools/analyze_logs.py', 'plot_curve {log} --keys loss --out {out}.xyz', "Format 'xyz' is not supported"),
    ('analysis_tools/analyze_logs.py', 'plot_curve {log} --keys loss --backend nix', '--backend: .*nix'),
    ('misc/browse_dataset.py', '{config} --not-show --output-dir {out}', 'no images, or none with an object'),
    ('misc/browse_dataset.py', '{config} --not-show --output-dir {out} --skip-type Nix', "there is no step 'Nix'"),
    ('misc/get_image_metas.py', '{config}', 'data.val must be one data set with one ann_file'),
    ('analysis_tools/eval_metric.py', '{config} {dict} --eval bbox', 'expected a list with the result of each image'),
]


CATEGORIES = [dict(id=1, name='cat')]
CONFIG = """
part = dict(type='CocoDataset', ann_file={ann_file!r}, classes=('cat',), pipeline=[])
model = dict(type='RPN')
data = dict(train=part, val=dict(type='RepeatDataset', times=2, dataset=part), test=part)
"""


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('inputs')
    good = json.dumps(dict(images=[], annotations=[], categories=[]))
    one = dict(images=[dict(id=1, file_name='a.png', width=9, height=9)], annotations=[], categories=CATEGORIES)
    detection = dict(image_id=1, category_id=9, bbox=[1, 1, 2, 2], score=0.5)
    contents = dict(
        good=('good.json', good.encode()),
        cut=('cut.json', good[:20].encode()),
        list=('list.json', b'[1, 2]'),
        binary=('binary.txt', bytes(range(128, 256))),
        empty=('empty.pth', b''),
        one=('one.json', json.dumps(one).encode()),
        detected=('detected.json', json.dumps([detection]).encode()),
        scoreless=('scoreless.json', json.dumps([dict(image_id=1, category_id=1, bbox=[1, 1, 2, 2])]).encode()),
        log=('log.json', b'{"mode": "train", "epoch": 1, "iter": 1, "loss": 1.5}'),
        dict=('dict.pkl', pickle.dumps({})),
        config=('config.py', CONFIG.format(ann_file=str(folder / 'good.json')).encode()),
    )
    for name, content in contents.values():
        (folder / name).write_bytes(content)
    paths = {key: folder / name for key, (name, _) in contents.items()}
    return dict(paths, folder=folder, out=folder / 'out')


@pytest.mark.parametrize(('script', 'arguments', 'text'), CASES)
def test_wrong_input_is_one_line(files, monkeypatch, script, arguments, text):
    monkeypatch.setattr(sys, 'argv', [script, *arguments.format(**files).split()])
    monkeypatch.syspath_prepend(str((ROOT / 'tools' / script).parent))
    with pytest.raises(SystemExit, match=text) as ended:
        runpy.run_path(str(ROOT / 'tools' / script), run_name='__main__')
    assert '\n' not in ended.value.code
