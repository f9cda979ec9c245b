"""A headless Chromium for pages, with Debian's browser and driver: `make test-browser`.

The suite does not collect this folder, as its machine may have no browser; only naming the folder runs it.
"""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 900  # s, that a busy machine may take for one step of a page
SHOTS = ROOT / 'work_dirs/browser'  # pictures of the pages, to be looked at
sys.path.insert(0, str(ROOT / 'tests/apis/report'))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the folder out unless an argument of the command leads into it."""
    asked = any('browser' in Path(str(arg).split('::')[0]).parts for arg in config.args)
    return None if asked or collection_path.parent.name != 'browser' else True


class Browser:
    """One window; pages are files or addresses of this machine.

    Args:
        driver: of selenium.
        shots: folder for pictures.
    """

    def __init__(self, driver: Any, shots: Path) -> None:
        self.driver = driver
        self.shots = shots

    def open(self, page: Path | str, width: int = 1280, height: int = 900) -> None:
        """Load a page in a window of so many px, and forget what the console said before."""
        self.resize(width, height)
        self.driver.get_log('browser')
        self.driver.get(page.as_uri() if isinstance(page, Path) else page)
        self.wait("const look = () => document.readyState === 'complete' ? done(1) : setTimeout(look, 50); look();")

    def resize(self, width: int, height: int) -> None:
        """Give the page so many px; windows cannot be as narrow as a telephone."""
        size = dict(width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', size)

    def run(self, script: str, *args: Any) -> Any:
        """What a script gives back."""
        return self.driver.execute_script(script, *args)

    def wait(self, script: str) -> Any:
        """What a script hands to ``done(value)``, which it calls once, however long the machine takes for it.

        Raises:
            AssertionError: it has not after ``PATIENCE`` seconds; with the page's text and what the console says.
        """
        self.run(f'window.answer = null; const done = (value) => {{ window.answer = [value]; }}; {script}')
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self.run('return window.answer')
            if answer is not None:
                return answer[0]
            time.sleep(0.1)
        text = self.run('return document.body.innerText')
        raise AssertionError(f'nothing after {PATIENCE} s of {script}\nthe page: {text}\nits console: {self.errors()}')

    def errors(self) -> list[str]:
        """What the console says that is worse than a remark, since the page was opened."""
        return [row['message'] for row in self.driver.get_log('browser') if row['level'] in ('SEVERE', 'WARNING')]

    def find_all(self, selector: str) -> list[Any]:
        """Elements by a CSS selector."""
        return self.driver.find_elements('css selector', selector)

    def shoot(self, name: str, width: int) -> Path:
        """A picture of the whole page."""
        height = self.run('return document.body.scrollHeight')
        self.resize(width, min(height, 8000))
        self.shots.mkdir(parents=True, exist_ok=True)
        path = self.shots / f'{name}.png'
        self.driver.save_screenshot(str(path))
        return path


@pytest.fixture(scope='session')
def browser():
    """A headless Chromium that says what its console says."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    programs = [shutil.which(name) for name in ('chromium', 'chromedriver')]
    if None in programs:
        raise RuntimeError('chromium and chromedriver are missing; `make test-browser` installs them')
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    # as root there is no sandbox; the pages are our own
    for argument in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--hide-scrollbars'):
        options.add_argument(argument)
    options.page_load_strategy = 'eager'  # the rest is waited for without the driver's own time limits
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    driver = webdriver.Chrome(options=options, service=Service(programs[1]))
    yield Browser(driver, SHOTS)
    driver.quit()
