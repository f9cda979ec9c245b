"""The benchmarks of loading and of metrics run, and print the tables that docs/performance.md asks for."""

import runpy
import sys
from pathlib import Path

import pytest
from process import ROOT, python

LINUX = pytest.mark.skipif(not Path('/proc/self/smaps').exists(), reason='asks Linux for memory')


def tables(printed: str) -> list[list[list[str]]]:
    """Printed tables, as rows of cells without the heads."""
    found: list[list[list[str]]] = []
    for line in printed.splitlines():
        row = [cell.strip() for cell in line.strip('|').split('|')]
        if line.startswith('| ---'):
            found.append([])
        elif not line.startswith('|'):
            continue
        elif found and row[-1][0].isdigit():
            found[-1].append(row)
    return found


def test_loading_of_images():
    args = [*('--size', '64', '96', '--scale', '96', '64'), *('--images', '4', '--rounds', '1', '--runs', '2')]
    loaders, ways, steps = tables(python('benchmarks/loading.py', *args, '--workers', 0, 1).stdout)
    names = ['plain OpenCV, float', 'pipeline, float', 'pipeline, uint8']
    assert [row[:2] for row in loaders] == [[workers, name] for workers in '01' for name in names]
    assert [row[0] for row in ways] == names and ways[0][2] == '1.00'
    assert all(float(cell) > 0 for row in loaders for cell in row[2:]) and all(float(row[1]) > 0 for row in ways)
    of_float = [row[0] for row in steps if row[1] == 'float']
    rest = ['Pad', 'DefaultFormatBundle', 'Collect']
    assert of_float == ['LoadImageFromFile', 'Resize', 'RandomFlip', 'Normalize', *rest]
    assert len(steps) == 2 * len(of_float) - 1  # bytes are not normalised
    shares = [int(row[3].rstrip('%')) for row in steps]
    assert abs(sum(shares[:7]) - 100) < 5 and abs(sum(shares[7:]) - 100) < 5


def run_here(monkeypatch, name: str, *args: str) -> None:
    """Run a benchmark in this process: without another import of torch it takes a second."""
    monkeypatch.setattr(sys, 'argv', [name, *args])
    monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
    runpy.run_path(str(ROOT / 'benchmarks' / name), run_name='__main__')


@LINUX
def test_memory_of_annotations():
    # not in this process, which tests before have made large
    (rows,) = tables(python('benchmarks/loading.py', '--annotations', '2000', '20000').stdout)
    assert [row[:2] for row in rows] == [['plain', '1'], ['shared', '1'], ['plain', '2'], ['shared', '2']]
    plain, one, _, two = ([max(float(value) for value in cell.split(',')) for cell in row[2:]] for row in rows)
    assert plain[2] == 0 and one[2] == two[2] > 1  # MB in common
    assert two[1] < plain[1] / 2 and two[3] < plain[3], 'processes hold more than their share'


@LINUX
def test_metrics_in_seconds_and_memory_per_5000_images(monkeypatch, capsys):
    run_here(monkeypatch, 'evaluation.py', '--images', '50', '--boxes', '20', '--classes', '3')
    printed = capsys.readouterr().out
    (rows,) = tables(printed)
    assert [row[0] for row in rows] == ['pycocotools', 'numpy'] and 'figures equal: True' in printed
    for _, seconds, memory, scaled_seconds, scaled_memory in rows:
        assert float(memory) > 0 and float(scaled_memory) == pytest.approx(100 * float(memory), abs=60)
        assert float(scaled_seconds) == pytest.approx(100 * float(seconds), abs=6)
