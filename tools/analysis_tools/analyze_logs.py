"""Plot curves of training logs, or time their iterations.

    python tools/analysis_tools/analyze_logs.py plot_curve LOG.json --keys loss_cls loss_bbox --out losses.png
    python tools/analysis_tools/analyze_logs.py cal_train_time LOG.json

Losses are drawn against the iteration, what validation measured against the epoch. A last line that a running or
killed training has not finished is passed over.
"""

import argparse
import os
import sys
from pathlib import Path

from mmdet.apis.launch import UserError, reported_errors
from mmdet.utils.running.json_log import Curve, curve, epoch_times, read_json_log

import matplotlib


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest='task', required=True)
    plot = tasks.add_parser('plot_curve', help='draw curves')
    plot.add_argument('json_logs', type=str, nargs='+', help='*.log.json of work folders')
    plot.add_argument('--keys', type=str, nargs='+', default=['bbox_mAP'], help='what to draw')
    plot.add_argument('--start-epoch', type=str, default='1', help='leave out earlier epochs')
    plot.add_argument('--eval-interval', type=str, default='1', help='leave out validation between its multiples')
    plot.add_argument('--title', type=str, help='title of the figure')
    plot.add_argument('--legend', type=str, nargs='+', default=None, help='a name for each key of each log')
    plot.add_argument('--backend', type=str, default=None, help="matplotlib's backend")
    plot.add_argument(
        '--style', type=str, default='dark', help="a style of matplotlib, or seaborn's dark, whitegrid ..."
    )
    plot.add_argument('--out', type=str, default=None, help='write the figure there; default: open a window')
    times = tasks.add_parser('cal_train_time', help='time of an iteration')
    times.add_argument('json_logs', type=str, nargs='+', help='*.log.json of work folders')
    times.add_argument('--include-outliers', action='store_true', help='count the first row of each epoch as well')
    return parser.parse_args(argv)


def read_log(path: str) -> list[dict]:
    """Rows of a log.

    Raises:
        UserError: there is none, or a line cannot be read.
    """
    if not Path(path).is_file():
        raise UserError(f'there is no log {path}')
    try:
        return read_json_log(path)
    except ValueError as error:
        raise UserError(str(error)) from error


def positive(text: str, option: str) -> int:
    """A whole number of at least 1.

    Raises:
        UserError: it is none.
    """
    if not text.isdigit() or int(text) < 1:
        raise UserError(f'{option}: expected a whole number from 1 on, got {text!r}')
    return int(text)


def legends(args: argparse.Namespace) -> list[str]:
    """A name for each curve.

    Raises:
        UserError: ``--legend`` has another number of names.
    """
    count = len(args.json_logs) * len(args.keys)
    if args.legend is None:
        return [
            f'{Path(log).name} {key}' if len(args.json_logs) > 1 else key for log in args.json_logs for key in args.keys
        ]
    if len(args.legend) != count:
        raise UserError(f'--legend: expected {count} names (keys x logs), got {len(args.legend)}')
    return args.legend


def chosen_curves(args: argparse.Namespace) -> list[Curve]:
    """The curve of each key of each log.

    Raises:
        UserError: a log lacks a key, or nothing of it is left.
    """
    start = positive(args.start_epoch, '--start-epoch')
    interval = positive(args.eval_interval, '--eval-interval')
    curves = []
    for path in args.json_logs:
        rows = read_log(path)
        for key in args.keys:
            try:
                curves.append(curve(rows, key, start, interval))
            except KeyError as error:
                raise UserError(f'{path}: {error.args[0]}') from error
            if not curves[-1].xs:
                raise UserError(f'{path}: {key!r} has no values from epoch {start} on at multiples of {interval}')
    return curves


def style_name(name: str) -> str:
    """A style of matplotlib; seaborn's short names are those of the styles that matplotlib carries.

    Raises:
        UserError: there is no such style.
    """
    from matplotlib import style

    for candidate in (f'seaborn-v0_8-{name}', name):
        if candidate in style.available or candidate == 'default':
            return candidate
    raise UserError(f'--style: {name!r} is not known. Known: default, {", ".join(style.available)}')


def use_backend(name: str) -> None:
    """Let matplotlib draw by a backend.

    Raises:
        UserError: it has none of that name.
    """
    try:
        matplotlib.use(name)
    except (ValueError, ImportError) as error:
        raise UserError(f'--backend: {error}') from error


def plot_curve(args: argparse.Namespace) -> None:
    """Draw the curves into one figure."""
    curves, names = chosen_curves(args), legends(args)
    backend = args.backend or ('Agg' if args.out else None)
    if backend:
        use_backend(backend)
    from matplotlib import pyplot as plt

    with plt.style.context(style_name(args.style)):
        figure, axes = plt.subplots(figsize=(7, 4.5), layout='constrained')
        for line, name in zip(curves, names):
            axes.plot(line.xs, line.ys, label=name, linewidth=1.2, marker='o' if len(line.xs) < 30 else None)
        axes.set(xlabel=' / '.join(dict.fromkeys(line.x_name for line in curves)), title=args.title or '')
        axes.legend()
        if args.out is None:
            plt.show()
            return
        os.makedirs(Path(args.out).absolute().parent, exist_ok=True)
        try:
            figure.savefig(args.out, dpi=120)
        except ValueError as error:  # a format that matplotlib does not have
            raise UserError(f'--out {args.out}: {error}') from error
    print(f'{len(curves)} curves drawn to {args.out}')


def cal_train_time(args: argparse.Namespace) -> None:
    """Print the time of an iteration: its mean, its spread over the epochs, the slowest and the fastest one."""
    for path in args.json_logs:
        try:
            times = epoch_times(read_log(path), args.include_outliers)
        except KeyError as error:
            raise UserError(f'{path}: {error.args[0]}') from error
        slow, fast = (pick(zip(times.means, times.epochs)) for pick in (max, min))
        mean = sum(times.means) / len(times.means)
        spread = (sum((m - mean) ** 2 for m in times.means) / len(times.means)) ** 0.5
        print(f'{path}')
        print(f'  slowest epoch {slow[1]}: {slow[0]:.4f} s/iter')
        print(f'  fastest epoch {fast[1]}: {fast[0]:.4f} s/iter')
        print(f'  standard deviation over {len(times.means)} epochs: {spread:.4f} s/iter')
        print(f'  average: {times.overall:.4f} s/iter')


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    dict(plot_curve=plot_curve, cal_train_time=cal_train_time)[args.task](args)


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
