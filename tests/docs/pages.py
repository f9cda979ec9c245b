"""The blocks of code of a page."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE_MARK = re.compile(r'# file: (\S+)\n')


def blocks(page: Path, language: str) -> list[str]:
    """All blocks of a language."""
    return [match[1] for match in _matches(page, language)]


def _matches(page: Path, language: str) -> list[re.Match]:
    return list(re.finditer(rf'^```{language}\n(.*?)^```', page.read_text(), re.DOTALL | re.MULTILINE))


def snippets(page: Path) -> list[str]:
    """The python blocks that are no files, each at its line, which errors then name."""
    matches = [match for match in _matches(page, 'python') if not FILE_MARK.match(match[1])]
    return ['\n' * match.string.count('\n', 0, match.start(1)) + match[1] for match in matches]


def files(page: Path) -> dict[str, str]:
    """Name and content of each python block that is a file."""
    marked = [(FILE_MARK.match(block), block) for block in blocks(page, 'python')]
    return {mark[1]: block[mark.end() :] for mark, block in marked if mark}


def write_files(page: Path, folder: Path) -> None:
    """Write the files of a page below a folder."""
    for name, content in files(page).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
