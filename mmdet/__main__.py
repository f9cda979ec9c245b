"""The command ``mmdet``: every script of ``tools/`` by its name, with or without a checkout.

``mmdet train CONFIG`` is ``python tools/train.py CONFIG``; ``mmdet`` alone lists the commands.
"""

import ast
import runpy
import sys
import textwrap
from pathlib import Path

from mmdet.utils.registry import did_you_mean
from mmdet.utils.shipped import shipped_folder
from mmdet.version import __version__

FIRST = ('train', 'test', 'predict', 'serve', 'make-config', 'report')  # what most people want, where it is there
WIDTH = 90  # characters of a purpose


def commands() -> dict[str, Path]:
    """Name of each command and its script: ``print-config`` runs ``tools/misc/print_config.py``.

    Of two scripts of a name the one with the shorter path has it; both answer to their path, ``misc/print-config``.
    """
    root = shipped_folder('tools')
    scripts = [path for path in root.rglob('*.py') if "__name__ == '__main__'" in path.read_text(encoding='utf-8')]
    found: dict[str, Path] = {}
    for path in sorted(scripts, key=lambda script: (len(script.parts), script)):
        whole = path.relative_to(root).with_suffix('').as_posix().replace('_', '-')
        found.setdefault(whole.rpartition('/')[2], path)
        found[whole] = path
    return found


def purpose(script: Path) -> str:
    """First sentence of a script's docstring, shortened to a line."""
    text = ast.get_docstring(ast.parse(script.read_text(encoding='utf-8'))) or ''
    sentence = text.partition('\n\n')[0].partition(': ``')[0].replace('``', '').partition('. ')[0]
    return textwrap.shorten(sentence.rstrip('.:'), WIDTH, placeholder=' ...')


def usage() -> str:
    """All commands, each with its purpose."""
    found = {name: path for name, path in commands().items() if '/' not in name}
    order = [*(name for name in FIRST if name in found), *sorted(set(found) - set(FIRST))]
    width = max(map(len, order))
    lines = [f'  {name:<{width}}  {purpose(found[name])}' for name in order]
    head = ['usage: mmdet COMMAND [ARGUMENTS]     (mmdet COMMAND --help says more)', '']
    tail = ['', f'  {"configs":<{width}}  List the configs that come along, or those with a word in their path', '']
    note = 'A config that comes along is found by its path from any folder: mmdet train configs/retinanet/....py'
    return '\n'.join([*head, *lines, *tail, note])


def list_configs(words: list[str]) -> str:
    """Paths of the shipped configs that contain all the words."""
    root = shipped_folder('configs')
    paths = (path for path in sorted(root.rglob('*.py')) if '_base_' not in path.relative_to(root).parts)
    return '\n'.join(str(path) for path in paths if all(word in str(path.relative_to(root)) for word in words))


def with_shipped_config(argument: str) -> str:
    """``configs/...`` that is not below the current folder, but comes along, as the path where it lies."""
    if not argument.startswith('configs/') or not argument.endswith('.py') or Path(argument).exists():
        return argument
    path = shipped_folder('configs').parent / argument
    if not path.is_file():
        return argument
    print(f'config: {path}', file=sys.stderr)
    return str(path)


def run_script(path: Path, name: str, arguments: list[str]) -> None:
    """Be the script: its folder comes first where modules are looked for, as if Python had been started with it."""
    sys.path.insert(0, str(path.parent))
    sys.argv = [f'mmdet {name}', *map(with_shipped_config, arguments)]
    runpy.run_path(str(path), run_name='__main__')


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    name, *arguments = (sys.argv[1:] if argv is None else argv) or ['--help']
    if name in ('-h', '--help', 'help'):
        print(usage())
    elif name in ('-V', '--version'):
        print(f'mmdet {__version__}')
    elif name == 'configs':
        print(list_configs(arguments))
    elif name in commands():
        run_script(commands()[name], name, arguments)
    else:
        sys.exit(f'error: there is no command {name!r}{did_you_mean(name, commands())} `mmdet` lists them all')


if __name__ == '__main__':
    main()
