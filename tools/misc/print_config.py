"""Print a config as it is after inheritance and options: ``python tools/misc/print_config.py CONFIG``."""

import argparse
import sys

from mmdet.apis.launch import config_from_args, newer_option, reported_errors

from mmcv import Config, DictAction


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Print the whole config')
    parser.add_argument('config', help='config file')
    parser.add_argument('--options', nargs='+', action=DictAction, help='deprecated name of --cfg-options')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    args = parser.parse_args(argv)
    newer_option(args, 'cfg_options')
    return args


def main(argv: list[str] | None = None) -> Config:
    """Run the command; gives the config."""
    cfg = config_from_args(parse_args(argv))
    print(f'Config:\n{cfg.pretty_text}')
    return cfg


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
