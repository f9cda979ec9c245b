"""Evaluate an exported detector on the data set of its config, as tools/test.py evaluates a checkpoint.

    python tools/deployment/test.py CONFIG model.onnx --eval bbox

It is tools/test.py by the name and with the options of mmdetection 2.x.
"""

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from mmdet.apis.export import ExportError, is_onnx
from mmdet.apis.launch import fraction, reported_errors

from mmcv import DictAction


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('model', help='.onnx file of tools/deployment/export.py')
    parser.add_argument('--out', help='write all results to this .npz (or .pkl) file')
    parser.add_argument('--format-only', action='store_true', help='write result files for a test server only')
    parser.add_argument('--backend', default='onnxruntime', choices=['onnxruntime'], help='what runs the file')
    parser.add_argument('--eval', type=str, nargs='+', help='metrics, e.g. bbox segm proposal (COCO), mAP recall (VOC)')
    parser.add_argument('--show', action='store_true', help='open a window for each image')
    parser.add_argument('--show-dir', help='write a picture for each image there')
    parser.add_argument('--show-score-thr', type=fraction, default=0.3, help='draw detections from this score on')
    parser.add_argument('--work-dir', help='where the metrics are written as JSON')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    parser.add_argument('--eval-options', nargs='+', action=DictAction, help='arguments of the evaluation, key=value')
    return parser.parse_args(argv)


def test_script() -> ModuleType:
    """tools/test.py as a module."""
    path = Path(__file__).resolve().parents[1] / 'test.py'
    spec = importlib.util.spec_from_file_location('mmdet_tools_test', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(argv: list[str] | None = None) -> None:
    """Evaluate."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)
    if not is_onnx(args.model):
        raise ExportError(f'{args.model}: expected an .onnx file; tools/test.py takes checkpoints')
    test_script().main(without_backend(argv))


def without_backend(argv: list[str]) -> list[str]:
    """The options without ``--backend``, which tools/test.py does not have."""
    if '--backend' in argv:
        at = argv.index('--backend')
        return argv[:at] + argv[at + 2 :]
    return [option for option in argv if not option.startswith('--backend=')]


if __name__ == '__main__':
    with reported_errors():
        main()
