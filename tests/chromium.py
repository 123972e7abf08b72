"""A real Chromium, by Playwright: the system's, or the one that `playwright install chromium` brings."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

Browser = Any  # Playwright's
Page = Any

SIZE = {"width": 1280, "height": 900}


def executable() -> str | None:
    """Where a Chromium is; None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    if found := next(filter(None, map(shutil.which, names)), None):
        return found
    with sync_playwright() as driver:
        own = driver.chromium.executable_path
    return own if Path(own).exists() else None


@contextmanager
def launched() -> Iterator[Browser]:
    """The browser; a test that wants it is skipped where there is none."""
    if (found := executable()) is None:
        pytest.skip("no Chromium: install the system's, or run `playwright install chromium`")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opener:
    """Opens pages with all their figures drawn, and notes what they say to the console or ask the network for."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.contexts: list[Any] = []
        self.said: list[str] = []
        self.asked: set[str] = set()

    def __call__(self, directory: Path, *, viewport: dict[str, int] = SIZE, scheme: str = "light") -> Page:
        self.contexts.append(self.browser.new_context(viewport=viewport, color_scheme=scheme, offline=True))
        page = self.contexts[-1].new_page()
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.on("request", lambda request: self.asked.add(request.url))
        address = (directory / "report.html").as_uri()
        page.goto(address)
        page.wait_for_function("[...document.querySelectorAll('.chart')].every(chart => chart.querySelector('svg'))")
        self.asked.discard(address)
        return page

    def close(self) -> None:
        for context in self.contexts:
            context.close()
        assert self.said == []
        assert self.asked == set()
