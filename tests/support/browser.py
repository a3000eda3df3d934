"""The page of a set in the system's Chromium; whatever it complains of, or loads from elsewhere, fails the test."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from support.patience import BESIDE_OTHERS, wait_for
from support.sets import RunningSet

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
CONNECTED = ".connection.connected"
_MOST_SECONDS = 30
"""How long the browser waits for an element, as it does by itself."""
_OF_A_BREAK = (
    "ERR_INTERNET_DISCONNECTED",
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "ERR_EMPTY_RESPONSE",
    "WebSocket connection to",
    "503",
)
"""What a browser says of a server that is gone for a moment."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Tab:
    """One tab with the page of a set."""

    def __init__(self, context: BrowserContext, running: RunningSet) -> None:
        self.page: Page = context.new_page()
        self.url = f"http://127.0.0.1:{running.control_port}/"
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", lambda said: self._note(said.text) if said.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda fault: self._note(str(fault)))
        self.page.on("request", lambda request: self._look_at(request.url))

    def open(self) -> "Tab":
        """Open the page and wait until it is live."""
        self.page.goto(self.url)
        self.is_live()
        return self

    def is_live(self) -> None:
        """Fail unless the page hears from the server in time."""
        wait_for(lambda: self.page.locator(CONNECTED).is_visible(), 20, "The page's connection")

    def text(self, selector: str) -> str:
        """Return what is written in an element."""
        return self.page.locator(selector).first.inner_text().strip()

    def shows(self, selector: str, words: str, seconds: float = 5) -> None:
        """Fail unless these words are in an element in time."""
        wait_for(lambda: words in self.text(selector), seconds, f"{words!r} in {selector}")

    def button(self, name: str) -> Any:
        """Return a button by its words."""
        return self.page.get_by_role("button", name=name, exact=True)

    def figure(self, panel: str, name: str) -> str:
        """Return the value beside a name in a list of figures."""
        return self.page.locator(f"#{panel} dt", has_text=name).first.locator("xpath=../dd").inner_text()

    def table(self, panel: str) -> list[list[str]]:
        """Return the cells of a panel's table."""
        rows = self.page.locator(f"#{panel} tbody tr").all()
        return [[cell.inner_text().strip() for cell in row.locator("th, td").all()] for row in rows]

    def check(self, broken: bool = False) -> None:
        """Fail for a complaint, or for a request to another host; ``broken``: the server was gone meanwhile."""
        complaints = [each for each in self.complaints if not (broken and any(of in each for of in _OF_A_BREAK))]
        assert complaints == []
        assert self.foreign == []

    def _note(self, said: str) -> None:
        self.complaints.append(said)

    def _look_at(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != urlsplit(self.url).netloc:
            self.foreign.append(url)


@contextmanager
def context_of(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """What tabs share: what was loaded and is remembered."""
    options = {"viewport": {"width": 1440, "height": 900}, "locale": "en-GB", "timezone_id": "Europe/Berlin"} | options
    context = browser.new_context(**options)
    context.set_default_timeout(1000 * _MOST_SECONDS * BESIDE_OTHERS)
    try:
        yield context
    finally:
        context.close()


@contextmanager
def tab_in(context: BrowserContext, running: RunningSet, broken: bool = False) -> Iterator[Tab]:
    """A live tab, which is checked in the end."""
    tab = Tab(context, running)
    try:
        yield tab.open()
        tab.check(broken)
    finally:
        tab.page.close()


@contextmanager
def tab_of(browser: Browser, running: RunningSet, broken: bool = False, **options: Any) -> Iterator[Tab]:
    """A live tab that shares nothing with others."""
    with context_of(browser, **options) as context, tab_in(context, running, broken) as tab:
        yield tab


def observe(tab: Tab, selector: str) -> Callable[[], list[tuple[float, str]]]:
    """Note in the page when an element's text changes; return what gives (milliseconds since the epoch, text)."""
    tab.page.evaluate(
        """(selector) => {
            const seen = (window.seen = []);
            const element = document.querySelector(selector);
            new MutationObserver(() => seen.push([Date.now(), element.textContent])).observe(element,
                {childList: true, characterData: true, subtree: true});
        }""",
        selector,
    )
    return lambda: [(float(at), str(words)) for at, words in tab.page.evaluate("window.seen")]


def violations(tab: Tab) -> list[str]:
    """Return what axe-core finds wrong with the page, each with its place."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab.page).response["violations"]
    return [f"{each['id']}: {json.dumps([node['target'] for node in each['nodes']])[:300]}" for each in found]
