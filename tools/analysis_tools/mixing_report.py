"""Print what each source of a training set will contribute, before a training.

    python tools/analysis_tools/mixing_report.py CONFIG --processes 8

The table has, for each data set that ``data.train`` joins: its images; how many of them an epoch shows; its share of
those, and of the loss of each head of the model if all images' losses were equal but for their weights; the share of
its images whose negatives are ignored; and the classes that it has no annotations of. Warnings follow it, and advice
for sources in which objects or classes are not annotated. The model is built, without its weights; images are not read.
With ``--missing-rates``, the file that ``find_label_errors.py`` writes, the advice says how many objects are missing.
"""

import argparse
import sys

from mmdet.apis.label_errors import read_rates, sentences
from mmdet.apis.launch import UserError, config_from_args, reported_errors
from mmdet.core.directives import IGNORE_NEGATIVES, NEGATIVES, UNLABELED_CLASSES, HeadDirectives
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
    parser.add_argument('--missing-rates', metavar='FILE', help='missing_rates.json of find_label_errors.py')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    args = parser.parse_args(argv)
    if args.processes < 1:
        parser.error(f'--processes: expected 1 or more, got {args.processes}')
    return args


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


def missing_labels(made: MixtureReport, path: str) -> list[str]:
    """What the missing rates in a file say about the sources of a mixture, and which directives they still need.

    Raises:
        UserError: the file holds no rates, or those of a source that is not in the mixture.
    """
    rates = read_rates(path)
    sources = {source.name: source for source in made.sources}
    for name in dict.fromkeys(rate.source for rate in rates):
        if name not in sources:
            raise UserError(f'{path} has rates of {name!r}, but the sources of the config are {", ".join(sources)}')
    declared = {
        name: [NEGATIVES] * (source.policies.get('all', 0) < 1) + [UNLABELED_CLASSES] * bool(source.unlabeled)
        for name, source in sources.items()
    }
    return sentences(rates, declared)


def main(argv: list[str] | None = None) -> MixtureReport:
    """Run the command; gives the report."""
    args = parse_args(argv)
    made = report(config_from_args(args), args.processes)
    print(made.table())
    print(made.epoch)
    for warning in made.warnings:
        print(f'WARNING {warning}')
    advice = made.advice + (missing_labels(made, args.missing_rates) if args.missing_rates else [])
    for sentence in advice:
        print(f'ADVICE {sentence}')
    return made


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
