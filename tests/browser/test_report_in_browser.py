"""The report in a real browser."""

import pytest
from made_run import make_run
from mmcv import Config

from mmdet.apis.report import Settings, collect, write_page

PICTURES_LOAD = """
const links = [...document.querySelectorAll('#cards image')].map((image) => image.getAttribute('href'));
Promise.all(links.map((link) => { const image = new Image(); image.src = link; return image.decode(); }))
  .then(() => done(links.length), (error) => done(String(error)));
"""
VISIBLE = (
    "return [...document.querySelectorAll('.card')].filter((card) => !card.hidden).map((card) => card.dataset.kind)"
)
CHOOSE = """
const input = document.getElementById(arguments[0]);
input.value = arguments[1];
input.dispatchEvent(new Event('input'));
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Reports of one run, of one with its pictures as files, and of two runs."""
    folder = tmp_path_factory.mktemp('browser')
    make_run(folder)
    run = collect(Config.fromfile(str(folder / 'config.py')), folder / 'run')
    write_page(run, folder / 'one.html', None, Settings())
    write_page(run, folder / 'files.html', None, Settings(), folder / 'its pictures')
    write_page(run, folder / 'two.html', run._replace(name='other run'), Settings())
    return folder


@pytest.mark.parametrize('page', ['one', 'files', 'two'])
def test_page_loads_all_its_pictures_without_an_error_in_the_console(browser, folder, page):
    browser.open(folder / f'{page}.html')
    count = browser.wait(PICTURES_LOAD)
    panes = 3 if page == 'two' else 2
    assert count == panes * len(browser.find_all('.card')) >= 20
    assert browser.errors() == []


@pytest.mark.parametrize('page', ['one', 'two'])
@pytest.mark.parametrize('width', [1280, 400])
def test_page_is_readable_at_both_widths(browser, folder, page, width):
    browser.open(folder / f'{page}.html', width)
    assert browser.run('return document.documentElement.scrollWidth') == width  # only tables scroll sideways
    sizes = browser.run(
        "return [...document.querySelectorAll('figure.chart text')].map((e) => e.getBoundingClientRect().height)"
    )
    assert len(sizes) > 30 and min(sizes) >= 10  # px
    overlaps = """
    const boxes = [...document.querySelectorAll(arguments[0])].map((e) => [e.parentNode, e.getBoundingClientRect()]);
    return boxes.filter(([p, a], i) => boxes.slice(0, i).some(([q, b]) => p === q
      && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)).length;
    """
    assert browser.run(overlaps, 'figure.chart text') == 0
    browser.shoot(f'report_{page}_{width}', width)


def test_filters_leave_the_cards_that_are_asked_for(browser, folder):
    browser.open(folder / 'one.html')
    everything = browser.run(VISIBLE)
    assert {'missed', 'correct', 'wrong class', 'background', 'poorly placed'} <= set(everything)
    browser.run(CHOOSE, 'filter-kind', 'missed')
    assert set(browser.run(VISIBLE)) == {'missed'}
    browser.run(CHOOSE, 'filter-kind', '')
    browser.run(CHOOSE, 'filter-class', '2')
    assert browser.run(VISIBLE) == ['background', 'background']
    browser.run(CHOOSE, 'filter-class', '')
    browser.run(CHOOSE, 'filter-score', '0.9')
    assert 0 < len(browser.run(VISIBLE)) < len(everything) and 'missed' not in browser.run(VISIBLE)
    status = browser.find_all('#shown')[0].text
    assert status == f'{len(browser.run(VISIBLE))} of {len(everything)} shown'
    assert browser.errors() == []


def test_a_click_shows_the_whole_image_and_another_the_part(browser, folder):
    browser.open(folder / 'one.html')
    view = "return document.querySelector('.pane svg').getAttribute('viewBox')"
    part = browser.run(view)
    browser.find_all('.panes')[0].click()
    assert browser.run(view) == '0 0 320 240' != part
    browser.find_all('.panes')[0].click()
    assert browser.run(view) == part


def test_curves_are_switched_by_their_keys(browser, folder):
    browser.open(folder / 'one.html')
    count = "return document.querySelectorAll('#history figure:first-child path.series').length"
    assert browser.run(count) == 3
    browser.find_all('#history figure:first-child .keys input')[0].click()
    assert browser.run(count) == 2


def test_classes_are_sorted_by_a_click(browser, folder):
    browser.open(folder / 'one.html')
    names = "return [...document.querySelectorAll('#class-table tbody th')].map((cell) => cell.textContent)"
    browser.find_all('#class-table thead th')[0].click()
    assert browser.run(names) == ['kangaroo', 'koala', 'raccoon']
    browser.find_all('#class-table thead th')[2].click()
    assert browser.run(names) == ['raccoon', 'kangaroo', 'koala']  # what has no AP comes last
