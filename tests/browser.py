"""A real browser, which alone can say what a page may do."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_REMEDY = (
    "This test needs Chromium or Chrome, and there is none on the PATH: install it (on Debian "
    "'apt-get install chromium', elsewhere for example 'brew install --cask chromium'), or "
    "name one by CHROMIUM=/path/to/it"
)


def chromium() -> str:
    """Find the browser; without one, the test fails and says what to do."""
    named = os.environ.get("CHROMIUM")
    found = (
        shutil.which(named) if named else next(filter(None, map(shutil.which, _NAMES)), None)
    )
    if found is None:
        pytest.fail(_REMEDY, pytrace=False)
    return found


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """Start a browser that reaches loopback and nothing else."""
    only_loopback = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(), args=[only_loopback]
        )
        try:
            yield browser
        finally:
            await browser.close()
