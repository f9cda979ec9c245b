"""Evaluate results that are written already: ``python tools/analysis_tools/eval_metric.py CONFIG results.pkl --eval
bbox``."""

import argparse
import sys

from mmdet.apis.checking.metrics import check_evaluation
from mmdet.apis.launch import UserError, config_from_args, reported_errors
from mmdet.apis.results import build_test_dataset, check_formatting, evaluation_settings, format_all, load_results

from mmcv import DictAction


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Evaluate results that are written already')
    parser.add_argument('config', help='config file')
    parser.add_argument('pkl_results', help='results.pkl, as tools/test.py --out wrote it for data.test')
    parser.add_argument('--format-only', action='store_true', help='write result files for a test server only')
    parser.add_argument('--eval', type=str, nargs='+', help='metrics, e.g. bbox segm proposal (COCO), mAP recall (VOC)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    parser.add_argument(
        '--eval-options', nargs='+', action=DictAction, help="arguments of the data set's evaluation, key=value"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> dict | None:
    """Run the command; gives the figures."""
    args = parse_args(argv)
    if bool(args.eval) == args.format_only:
        raise UserError('give either --eval METRIC ... or --format-only')
    cfg = config_from_args(args)
    if args.eval:
        settings = {**evaluation_settings(cfg, args.eval, args.eval_options), 'save_best': None}
        check_evaluation(settings, cfg.data.test, '--eval')
    dataset = build_test_dataset(cfg, pipeline=[])
    if args.format_only:
        check_formatting(dataset, args.eval_options or {})
    results = load_results(args.pkl_results, dataset)
    if args.format_only:
        format_all(dataset, results, args.eval_options or {})
        return None
    figures = dataset.evaluate(results, **evaluation_settings(cfg, args.eval, args.eval_options))
    print(figures)
    return figures


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
