"""Print what each source of a training set will contribute, before a training.

    python tools/analysis_tools/mixing_report.py CONFIG --processes 8

The table has, for each data set that ``data.train`` joins: its images; how many of them an epoch shows; its share of
those, and of the loss of each head of the model if all images' losses were equal but for their weights; the share of
its images whose negatives are ignored; and the classes that it has no annotations of. Warnings follow it, and advice
for sources in which objects or classes are not annotated. The model is built, without its weights; images are not read.
"""

import argparse
import sys

from mmdet.apis.launch import config_from_args, reported_errors
from mmdet.core.directives import IGNORE_NEGATIVES, HeadDirectives
from mmdet.datasets import build_dataset
from mmdet.datasets.mixing.report import MixtureReport, report_mixture
from mmdet.models import build_detector
from mmdet.models.utils.directive_report import enabled_heads
from mmdet.utils.compat_config import compat_loader_args

from mmcv import Config, DictAction


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of a training')
    parser.add_argument('--processes', type=int, default=1, help='number of processes (GPUs) of the training')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    return parser.parse_args(argv)


def heads_of(cfg: Config) -> dict[str, HeadDirectives]:
    """The heads of a config's model that can weigh images, whether or not they are told to."""
    given = cfg.model.get('directives')
    # a switch that is absent is on, where there are switches at all
    ignoring = given is not None and given.get(IGNORE_NEGATIVES, True)
    model = {**cfg.model, 'directives': {'weights': True, IGNORE_NEGATIVES: ignoring}}
    return enabled_heads(build_detector(model, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg')))


def report(cfg: Config, processes: int) -> MixtureReport:
    """The report of a config's training set."""
    cfg = compat_loader_args(cfg)
    loader = cfg.data.train_dataloader
    settings = {key: loader[key] for key in ('source_ratio', 'repeat_factors') if loader.get(key) is not None}
    return report_mixture(
        build_dataset(cfg.data.train),
        samples_per_gpu=loader.get('samples_per_gpu', 2),
        world_size=processes,
        heads=heads_of(cfg),
        **settings,
    )


def main(argv: list[str] | None = None) -> MixtureReport:
    """Run the command; gives the report."""
    args = parse_args(argv)
    made = report(config_from_args(args), args.processes)
    print(made.table())
    print(made.epoch)
    for warning in made.warnings:
        print(f'WARNING {warning}')
    for advice in made.advice:
        print(f'ADVICE {advice}')
    return made


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
