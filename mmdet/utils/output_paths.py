"""Where an output goes that is named after an input."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from mmdet.utils.errors import ReportedError


class OutputPathError(ReportedError, ValueError):
    """An output would replace its input."""


def refuse_input(output: str | os.PathLike[str], source: str | os.PathLike[str]) -> None:
    """Refuse to write a file over the one that it is made from.

    Raises:
        OutputPathError: both are the same file.
    """
    if os.path.realpath(output) == os.path.realpath(source):
        raise OutputPathError(f'{output} is the input, which would be replaced; give another file')


class OutputPaths:
    """Gives each input a file of its own inside one folder.

    Sub-folders of inputs are kept. Absolute names and ``..`` lead to a place below the folder as well; a name that was
    given before gets a number.

    Args:
        folder: that holds all outputs.
        root: folder of the inputs: names below it are taken relative to it.
        inputs: files that no output may replace.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        root: str | os.PathLike[str] | None = None,
        inputs: Iterable[str | os.PathLike[str]] = (),
    ) -> None:
        self.folder = Path(folder)
        self.root = None if root is None else Path(root).absolute()
        self._inputs = {os.path.realpath(path) for path in inputs}
        self._given: set[Path] = set()

    @classmethod
    def of_pictures(cls, folder: str | os.PathLike[str], files: Mapping[str, str]) -> 'OutputPaths':
        """Paths for a picture of each image under the image's name.

        Args:
            folder: that holds all outputs.
            files: file of an image -> its name.

        Raises:
            OutputPathError: a picture would replace an image.
        """
        trial = cls(folder, inputs=files)
        for path, name in files.items():
            trial._place(name, path, '')
        return cls(folder, inputs=files)

    def __call__(
        self, name: str | os.PathLike[str], source: str | os.PathLike[str] | None = None, ending: str = ''
    ) -> Path:
        """The file for an input; its folder is made.

        Args:
            name: of the input, such as ``img_metas['ori_filename']``.
            source: where the input lies; the output must not be that file.
            ending: comes behind the stem (``'_0.5'``); one that begins with a dot replaces the suffix (``'.png'``).

        Raises:
            OutputPathError: the output would be an input.
        """
        target = self._place(name, source, ending)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _place(self, name: str | os.PathLike[str], source: str | os.PathLike[str] | None, ending: str) -> Path:
        relative = self._inside(os.fspath(name))
        relative = relative.with_suffix(ending) if ending.startswith('.') else relative
        if ending and not ending.startswith('.'):
            relative = relative.with_name(f'{relative.stem}{ending}{relative.suffix}')
        target, number = self.folder / relative, 0
        while target in self._given:
            number += 1
            target = self.folder / relative.with_name(f'{relative.stem}_{number}{relative.suffix}')
        self._given.add(target)
        real = os.path.realpath(target)
        if real in self._inputs or (source is not None and real == os.path.realpath(source)):
            raise OutputPathError(f'{target} is an input, which would be replaced; give another folder')
        return target

    def _inside(self, name: str) -> Path:
        if self.root is not None and Path(name).absolute().is_relative_to(self.root):
            name = str(Path(name).absolute().relative_to(self.root))
        pure = PureWindowsPath(name) if '\\' in name else PurePosixPath(name)
        parts = [part for part in pure.parts if part not in (pure.anchor, '.', '..')]
        return Path(*parts) if parts else Path('image')
