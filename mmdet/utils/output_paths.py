"""Where an output goes that is named after an input."""

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from mmdet.utils.errors import ReportedError


class OutputPathError(ReportedError, ValueError):
    """An output would replace its input."""


class OutputPaths:
    """Gives each input a file of its own inside one folder.

    Sub-folders of inputs are kept. Absolute names and ``..`` lead to a place below the folder as well; a name that was
    given before gets a number.

    Args:
        folder: that holds all outputs.
        root: folder of the inputs: names below it are taken relative to it.
    """

    def __init__(self, folder: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> None:
        self.folder = Path(folder)
        self.root = None if root is None else Path(root).absolute()
        self._given: set[Path] = set()

    def __call__(
        self, name: str | os.PathLike[str], source: str | os.PathLike[str] | None = None, ending: str = ''
    ) -> Path:
        """The file for an input; its folder is made.

        Args:
            name: of the input, such as ``img_metas['ori_filename']``.
            source: where the input lies; the output must not be that file.
            ending: comes behind the stem (``'_0.5'``); one that begins with a dot replaces the suffix (``'.png'``).

        Raises:
            OutputPathError: the output would be its own input.
        """
        relative = self._inside(os.fspath(name))
        relative = relative.with_suffix(ending) if ending.startswith('.') else relative
        if ending and not ending.startswith('.'):
            relative = relative.with_name(f'{relative.stem}{ending}{relative.suffix}')
        target, number = self.folder / relative, 0
        while target in self._given:
            number += 1
            target = self.folder / relative.with_name(f'{relative.stem}_{number}{relative.suffix}')
        self._given.add(target)
        if source is not None and target.resolve() == Path(source).resolve():
            raise OutputPathError(f'{target} is an input, which its picture would replace; give another folder')
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _inside(self, name: str) -> Path:
        if self.root is not None and Path(name).absolute().is_relative_to(self.root):
            name = str(Path(name).absolute().relative_to(self.root))
        pure = PureWindowsPath(name) if '\\' in name else PurePosixPath(name)
        parts = [part for part in pure.parts if part not in (pure.anchor, '.', '..')]
        return Path(*parts) if parts else Path('image')
