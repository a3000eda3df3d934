"""The page, in a browser: that it shows what the API says, and steers the set; against a real set under supervisord."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from fleetgen.domain.records import ISSUE_TYPES, Stream
from fleetgen.web.dashboard.panels.quality import FOUND_BY
from support.api import client_of, raw
from support.browser import Tab, chromium, context_of, observe, tab_in, tab_of, violations
from support.event_stream import answers, health
from support.patience import Watch, slowness, wait_for
from support.sets import RunningSet

SETTINGS = {
    "company_interval": '"PT1S"',
    "driver_interval": '"PT1S"',
    "companies_per_batch": "8",
    "seed": "42",
}
SLOWEST_FRAME = """async (selector) => {
    const list = document.querySelector(selector);
    let worst = 0, before = performance.now();
    for (let step = 0; step <= 60; step++) {
        list.scrollTop = list.scrollHeight * step / 60;
        await new Promise(requestAnimationFrame);
        worst = Math.max(worst, performance.now() - before);
        before = performance.now();
    }
    return worst;
}"""
"""Scrolls through a list; returns the milliseconds of the frame that took longest."""
MARKUP = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as each:
        yield each


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    with RunningSet(True, True, named="<script>pwned=1<b>", **SETTINGS) as each:
        each.configure_table("quality", enabled="true")
        each.start()
        yield each


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    with context_of(browser) as each:
        yield each


@pytest.fixture
def tab(context: BrowserContext, running: RunningSet) -> Iterator[Tab]:
    """A tab of a set that is well."""
    with client_of(running) as client:
        client.post("/api/resume")
    wait_for(lambda: health(running)["status"] == "running", 20, "A set that is well")
    with tab_in(context, running) as each:
        yield each


def paused(running: RunningSet) -> dict[str, Any]:
    """Pause a set, wait until the pipeline has carried everything, and return what is said of the set then."""
    with client_of(running) as client:
        client.post("/api/pause")
    wait_for(lambda: not any((health(running)["pipeline"]["backlog"] or {"": 1}).values()), 20, "The pipeline")
    return health(running)


# --- what it shows


@pytest.mark.quiet
def test_the_first_view_comes_soon_and_says_how_the_set_is(browser: Browser, running: RunningSet) -> None:
    watch = Watch()
    with tab_of(browser, running) as tab:
        took = watch.seconds()
        told = health(running)
        assert took < 3, took
        assert tab.text(".status") == "Running"
        facts = dict(each.inner_text().split("\n") for each in tab.page.locator(".fact").all())
        assert (facts["mode"], facts["seed"]) == ("emulated", "42")
        assert re.fullmatch(r"(\d+ min )?\d+ s", facts["up"])
        assert [row[0] for row in tab.table("processes")] == [each["name"] for each in told["processes"]]
        assert {row[1] for row in tab.table("processes")} == {"running"}


def test_every_figure_is_what_the_api_says(tab: Tab, running: RunningSet) -> None:
    told = paused(running)
    tab.shows(".status", "Paused")
    for stream, name in ((Stream.COMPANIES, "company_generator"), (Stream.EVENTS, "driver_generator")):
        panel, facts = f"generator-{stream}", told[name]
        wait_for(lambda f=facts, p=panel: tab.figure(p, "batches") == f"{f['total_batches']:,}", 3, "The batches")  # type: ignore[misc]
        assert tab.figure(panel, "records") == f"{facts['total_records']:,}"
        assert tab.figure(panel, "last batch") == facts["last_batch_id"]
        assert tab.figure(panel, "next batch") == "–"
    lines = told["pipeline"]["lines"]
    counts = [each.inner_text().split("\n") for each in tab.page.locator("#flow .count").all()]
    shown = dict(counts)
    for outcome, label in (("accepted", "accepted"), ("quarantined", "quarantined"), ("duplicate", "duplicates")):
        assert shown[label] == f"{sum(each.get(outcome, 0) for each in lines.values()):,}"
    assert shown["lines counted"] == f"{sum(sum(each.values()) for each in lines.values()):,}"
    assert shown["events"] == f"{told['driver_generator']['total_records']:,}"
    injected, rejected = told["quality"]["issue_counts"], told["pipeline"]["rejected"]
    expected = [
        [issue.replace("_", " "), f"{injected[issue]}", f"{rejected.get(FOUND_BY[issue], 0)}"] for issue in ISSUE_TYPES
    ]
    shown_issues = tab.table("quality")
    assert [row[:3] for row in shown_issues] == expected
    assert {row[3] for row in shown_issues} <= {"100.0%", "–"}, "and its recall is whole"
    assert [row[1] for row in expected] == [row[2] for row in expected], "our own pipeline finds everything"


@pytest.mark.quiet
def test_a_batch_is_seen_soon_after_it_was_published(tab: Tab, running: RunningSet) -> None:
    seen = observe(tab, "#generator-events .lines dd")
    wait_for(lambda: len(seen()) >= 25, 60, "Batches")
    late = []
    for at, batch_id in seen():
        meta = running.data / "raw" / "events" / batch_id / "batch_meta.json"
        late.append(at / 1000 - meta.stat().st_mtime)
    late.sort()
    assert late[-1] <= 1 * slowness(), late
    assert late[int(0.95 * len(late))] <= 0.3 * slowness(), late


def test_the_next_batch_counts_down_and_ages_grow(tab: Tab) -> None:
    assert re.fullmatch(r"in [12] s|now", tab.figure("generator-events", "next batch"))
    tab.shows("#processes tbody td:last-child", "s ago")
    title = tab.page.locator("#generator-events dd[title]").first.get_attribute("title") or ""
    assert re.search(r"\(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC\)", title)


def test_a_batch_opens_with_its_lines_its_issues_and_what_the_pipeline_did(tab: Tab, running: RunningSet) -> None:
    wait_for(lambda: tab.page.locator("#batches .strip-batch.dirty").count() >= 1, 20, "A dirty batch")
    paused(running)
    dirty = tab.page.locator("#batches .strip-batch.dirty").last
    name = (dirty.get_attribute("aria-label") or "").split()[1].rstrip(":")
    dirty.click()
    tab.page.wait_for_selector("dialog[open] table")
    assert name in tab.text("dialog[open] h3")
    rows = [row.locator("td").all_inner_texts() for row in tab.page.locator("dialog[open] tbody tr").all()]
    with client_of(running) as client:
        detail = client.get(f"/api/batches/{tab.text('dialog[open] h3').split()[0]}/{name}").json()
    assert len(rows) == detail["meta"]["corrupted_count"] == len(detail["issues"])
    for row, issue in zip(rows, sorted(detail["issues"], key=lambda each: each["line"]), strict=True):
        assert row[:2] == [str(issue["line"]), issue["issue_type"]]
        assert row[5] == f"rejected: {FOUND_BY[issue['issue_type']]}"
    assert detail["lines"][0] in tab.text("dialog[open] pre")
    tab.page.keyboard.press("Escape")
    assert tab.page.locator("dialog[open]").count() == 0


def focused(tab: Tab) -> str:
    """Return the label of what has the focus."""
    return str(tab.page.evaluate("document.activeElement.getAttribute('aria-label')"))


def test_the_strip_is_reached_by_the_keyboard(tab: Tab) -> None:
    strip = tab.page.locator("#batches ol").last
    wait_for(lambda: strip.locator("button").count() >= 3, 20, "Three batches")
    strip.locator("button").last.focus()
    last = focused(tab)
    tab.page.keyboard.press("ArrowLeft")
    before = focused(tab)
    assert re.match(r"Batch \d{8}T\d{6}Z: \d+ records", before)
    assert before < last
    tab.page.keyboard.press("Home")
    for _ in range(4):
        time.sleep(1)
        assert focused(tab).startswith("Batch "), "the focus stays in the strip when its oldest batch leaves it"
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("dialog[open] dl")


def test_a_gap_is_marked_with_its_reason(tab: Tab, running: RunningSet) -> None:
    paused(running)
    time.sleep(2.5)
    with client_of(running) as client:
        client.post("/api/resume")
    wait_for(lambda: tab.page.locator("#batches .strip-gap").count() >= 1, 10, "The gap")
    assert "left out (paused)" in (tab.page.locator("#batches .strip-gap").last.get_attribute("title") or "")
    wait_for(lambda: tab.page.locator("#cadence-events .bars-gap").count() >= 1, 5, "The gap in the charts")


def test_the_cadence_is_drawn_against_its_limits(tab: Tab) -> None:
    wait_for(lambda: tab.page.locator("#cadence-events rect.ok").count() >= 4, 20, "Bars")
    labels = tab.page.locator("#cadence-events .bars-label").all_inner_texts()
    assert labels == ["limit 1 s", "limit 1 s", "at most 20", "at least 5"]
    assert re.search(r" (ms|s)$", tab.text("#cadence-events .chart-title > :last-child"))


# --- logs


def logged(running: RunningSet, process: str, level: str, texts: list[str], day: str) -> None:
    """Write lines into a process's log, a millisecond apart."""
    with (running.data / "manifests" / "logs" / f"{process}.jsonl").open("a") as file:
        for number, text in enumerate(texts):
            time_of_day = f"00:00:{number // 1000:02d}.{number % 1000:03d}000"
            line = {"timestamp": f"{day}T{time_of_day}Z", "level": level, "logger": process, "event": text}
            file.write(json.dumps(line) + "\n")


def test_the_log_follows_filters_and_goes_back(tab: Tab, running: RunningSet) -> None:
    tab.page.locator("#logs").scroll_into_view_if_needed()
    wait_for(lambda: tab.page.locator("#logs li").count() > 5, 10, "Lines")
    logged(running, "driver", "error", [f"old {number}" for number in range(450)], "2026-01-01")
    logged(running, "driver", "error", [MARKUP], "2099-01-01")
    tab.shows("#logs ol", MARKUP)
    tab.page.get_by_label("Level").select_option("error")
    wait_for(lambda: tab.page.locator("#logs li:not(.error)").count() == 0, 5, "Errors alone")
    tab.button("Older lines").click()
    wait_for(lambda: tab.page.locator("#logs li").count() >= 400, 5, "Older lines")
    tab.button("Older lines").click()
    wait_for(lambda: "old 0" in (tab.page.locator("#logs ol").text_content() or ""), 5, "The oldest line")
    assert tab.page.evaluate("window.pwned") is None


def plain_list(lines: int) -> str:
    """Return a list of so many lines as a browser shows it by itself."""
    shown = "".join(f"<li><span>00:00:00</span> <b>critical</b> line {number}</li>" for number in range(lines))
    return f'<ol class="plain" style="height: 400px; overflow: auto">{shown}</ol>'


@pytest.mark.quiet
def test_ten_thousand_lines_stay_smooth(tab: Tab, running: RunningSet) -> None:
    """In time for a whole layout and painting of the list while it is scrolled through, beside a plain list."""
    logged(running, "company", "critical", [f"line {number}" for number in range(10_000)], "2026-02-01")
    tab.page.get_by_label("Level").select_option("critical")
    wait_for(lambda: tab.page.locator("#logs li.critical").count() >= 200, 10, "The newest")
    for count in range(400, 10_001, 200):
        tab.button("Older lines").click()
        tab.page.wait_for_function(f"document.querySelectorAll('#logs li').length >= {count}")
    worst = tab.page.evaluate(SLOWEST_FRAME, ".log-lines")
    other = tab.page.context.new_page()
    other.evaluate("(html) => void (document.body.innerHTML = html)", plain_list(10_000))
    plain = other.evaluate(SLOWEST_FRAME, ".plain")
    other.close()
    assert worst < max(1000, 15 * plain), (worst, plain)


# --- steering


def test_pause_and_resume_show_what_came_of_them_in_every_tab(browser: Browser, tab: Tab, running: RunningSet) -> None:
    with tab_of(browser, running) as other:
        tab.button("Pause").dblclick()
        tab.shows(".result", "Paused: no batch is published until a resume.")
        time.sleep(0.5)
        assert health(running)["lifecycle"]["paused"], "the second click of a double click does not resume"
        other.shows(".status", "Paused", 2)
        other.button("Resume").click()
        other.shows(".result", "Resumed")
        tab.shows(".status", "Running", 2)
        assert not health(running)["lifecycle"]["paused"]


def test_a_reason_is_text_whatever_is_in_it(tab: Tab, running: RunningSet) -> None:
    with client_of(running) as client:
        client.post("/api/pause", json={"reason": MARKUP})
    tab.shows(".reasons", MARKUP)
    assert tab.page.evaluate("window.pwned") is None


def test_a_reset_asks_for_a_word_and_says_what_it_removed(tab: Tab, running: RunningSet) -> None:
    assert tab.button("Reset …").is_disabled()
    before = paused(running)["dataset_id"]
    wait_for(lambda: tab.button("Reset …").is_enabled(), 5, "The button")
    tab.button("Reset …").click()
    word = tab.page.get_by_label("Type reset to go on")
    word.fill("rest")
    assert tab.button("Delete everything").is_disabled()
    word.fill("reset")
    wait_for(lambda: tab.button("Delete everything").is_enabled(), 3, "The button")
    tab.button("Delete everything").click()
    wait_for(lambda: re.search(r"Reset: \d+ items removed in", tab.text(".result")), 20, "The result")
    assert health(running)["dataset_id"] != before
    tab.shows("#batches", "No batch yet")
    tab.button("Resume").click()
    wait_for(lambda: tab.figure("generator-events", "batches") != "0", 10, "The first batch")


def test_the_mode_is_switched_in_its_one_line_after_the_difference_was_shown(tab: Tab, running: RunningSet) -> None:
    before = running.config.read_text()
    try:
        tab.page.get_by_label("Mode", exact=True).select_option("production")
        tab.page.wait_for_selector("dialog[open] .added")
        assert tab.text("dialog[open] .removed").startswith('-mode = "emulated"')
        assert tab.text("dialog[open] .added").startswith('+mode = "production"')
        assert running.config.read_text() == before, "nothing is written before it is confirmed"
        tab.button("Change the file").click()
        tab.shows(".result", "the set follows within a second")
        tab.shows(".glance", "production")
        assert running.config.read_text() == before.replace('mode = "emulated"', 'mode = "production"')
    finally:
        running.config.write_text(before)
    tab.shows(".glance", "emulated", 10)


def test_an_edit_that_was_cancelled_or_overtaken_changes_nothing(tab: Tab, running: RunningSet) -> None:
    before = running.config.read_text()
    tab.page.get_by_label("Mode", exact=True).select_option("production")
    tab.page.wait_for_selector("dialog[open] .added")
    tab.page.keyboard.press("Escape")
    wait_for(lambda: tab.page.get_by_label("Mode", exact=True).input_value() == "emulated", 3, "The choice as it was")
    tab.page.get_by_label("Mode", exact=True).select_option("production")
    tab.page.wait_for_selector("dialog[open] .added")
    try:
        running.config.write_text(before + "# edited by hand\n")
        tab.button("Change the file").click()
        tab.shows(".result", "was changed meanwhile: nothing was written")
        assert running.config.read_text() == before + "# edited by hand\n"
    finally:
        running.config.write_text(before)


def test_a_preset_keeps_where_and_how_the_set_runs(tab: Tab, running: RunningSet) -> None:
    before = running.config.read_text()
    try:
        tab.page.get_by_label("Preset", exact=True).select_option("emulated-5s")
        tab.page.wait_for_selector("dialog[open] .added")
        tab.button("Change the file").click()
        tab.shows(".result", "kept as generator.toml.bak")
        text = running.config.read_text()
        assert f"port = {running.control_port}" in text
        assert 'driver_interval = "PT5S"' in text
        assert running.config.with_name("generator.toml.bak").read_text() == before
        wait_for(lambda: "at most 10" in tab.page.locator("#cadence-events").inner_text(), 10, "The bounds in force")
    finally:
        running.config.write_text(before)


# --- when something is wrong


def test_it_comes_back_by_itself_after_the_control_process_was_killed(browser: Browser, running: RunningSet) -> None:
    with tab_of(browser, running, broken=True) as tab:
        control = next(each["pid"] for each in health(running)["processes"] if each["name"] == "control")
        os.kill(control, signal.SIGKILL)
        tab.shows(".connection", "connection lost: reconnecting", 10)
        tab.is_live()
        tab.shows(".status", "Running", 10)


def test_a_process_that_is_stopped_is_told(tab: Tab, running: RunningSet) -> None:
    running.ctl("stop", "pipeline")
    try:
        tab.shows(".status", "Degraded")
        tab.shows(".reasons", "supervisorctl start pipeline")
        tab.shows("#flow", "No pipeline is connected")
        assert ["pipeline", "stopped"] in [row[:2] for row in tab.table("processes")]
    finally:
        running.ctl("start", "pipeline")
    tab.shows(".status", "Running", 10)


def test_a_tab_that_stopped_reading_harms_nobody(tab: Tab, running: RunningSet) -> None:
    page = client_of(running).get("/").text
    client_id = re.search(r"'client_id': '([^']+)'", page)
    assert client_id is not None
    url = f"ws://127.0.0.1:{running.control_port}/_nicegui_ws/socket.io/?EIO=4&transport=websocket&client_id={client_id[1]}"
    with connect(url, proxy=None):
        before = tab.figure("generator-events", "batches")
        wait_for(lambda: tab.figure("generator-events", "batches") != before, 3, "A further batch")


# --- looks


@pytest.mark.quiet
@pytest.mark.parametrize("state", ["running", "empty", "paused", "degraded", "disconnected"])
def test_nobody_is_kept_out_by_how_it_looks(browser: Browser, running: RunningSet, state: str) -> None:
    with client_of(running) as client:
        client.post("/api/resume")
    wait_for(lambda: health(running)["status"] == "running", 20, "A set that is well")
    with tab_of(browser, running, broken=True, color_scheme="light") as tab:
        with client_of(running) as client:
            if state in ("paused", "empty"):
                client.post("/api/pause")
                tab.shows(".status", "Paused")
            if state == "empty":
                client.post("/api/clean")
                tab.shows("#batches", "No batch yet")
        if state == "degraded":
            running.ctl("stop", "driver")
            tab.shows(".status", "Degraded")
        if state == "disconnected":
            tab.page.context.set_offline(True)
            tab.page.evaluate("window.socket.io.engine.close()")
            tab.shows(".connection", "connection lost")
        try:
            for theme in ("light", "dark"):
                assert tab.page.evaluate("document.documentElement.dataset.theme") == theme
                assert violations(tab) == [], theme
                tab.page.get_by_role("button", name="Switch between light and dark").click()
        finally:
            running.ctl("start", "driver")


def test_the_theme_is_remembered_and_there_from_the_first_moment(browser: Browser, running: RunningSet) -> None:
    with tab_of(browser, running, color_scheme="light") as tab:
        tab.page.get_by_role("button", name="Switch between light and dark").click()
        tab.page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        at_first = "window.first = document.documentElement.dataset.theme"
        tab.page.add_init_script(f"document.addEventListener('DOMContentLoaded', () => {at_first})")
        tab.open()
        assert tab.page.evaluate("window.first") == "dark"


@pytest.mark.parametrize("width", [390, 1024, 2560])
def test_it_fits_from_a_phone_to_a_wide_screen(browser: Browser, running: RunningSet, width: int) -> None:
    with tab_of(browser, running, viewport={"width": width, "height": 768}) as tab:
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width


# --- safety


def test_a_websocket_of_a_foreign_page_or_host_is_refused(running: RunningSet) -> None:
    client_of(running).get("/")  # so that the page is loaded
    url = f"ws://127.0.0.1:{running.control_port}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    own = f"http://127.0.0.1:{running.control_port}"
    with connect(url, additional_headers={"Origin": own}, proxy=None):
        pass
    for origin in ("http://evil.example", "null", own.replace("http", "https", 1).replace("127.0.0.1", "evil.example")):
        with pytest.raises(InvalidStatus, match="403"), connect(url, additional_headers={"Origin": origin}, proxy=None):
            pass
    for host in ("evil.example", f"evil.example:{running.control_port}"):
        handshake = (
            f"GET /{url.split('/', 3)[3]} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert raw(running.control_port, handshake.encode()).status_code == 403
    with client_of(running) as client:
        assert client.get("/_nicegui_ws/socket.io/?EIO=4&transport=polling").status_code == 404


def test_the_page_allows_this_host_alone(running: RunningSet) -> None:
    with client_of(running) as client:
        answer = client.get("/")
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
        assert client.get("/nothing").json()["error"] == "not_found"
        assert client.post("/").status_code == 405
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy


def test_it_can_be_switched_off_and_on_while_the_set_runs(running: RunningSet) -> None:
    before = running.config.read_text()
    with client_of(running) as client:
        try:
            running.configure_table("control", dashboard="false")
            wait_for(lambda: "set dashboard = true" in client.get("/").text, 5, "The page off")
            assert client.get("/api/health").status_code == 200
        finally:
            running.config.write_text(before)
        wait_for(lambda: "<html" in client.get("/").text, 5, "The page on")


def test_without_its_packages_the_api_works_and_says_how_to_get_it() -> None:
    lacking = "import sys; sys.modules['nicegui'] = None; from fleetgen.cli.main import main; main()"
    with RunningSet(control=True) as unstarted:
        command = [sys.executable, "-c", lacking, "run", "control", "--config", str(unstarted.config)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as control, client_of(unstarted) as client:
            try:
                wait_for(lambda: answers(unstarted), 20, "The control process")
                assert "pip install 'fleetgen[dashboard]'" in client.get("/").text
                assert client.get("/api/health").status_code == 200
            finally:
                control.terminate()


def test_where_a_token_is_set_the_page_asks_for_it(browser: Browser) -> None:
    with RunningSet(control=True, **SETTINGS) as running:
        token = Path(running.config).with_name("control.token")
        token.write_text("a-secret-of-many-letters\n")
        running.configure_table("control", token_file='"control.token"')
        running.start()
        with tab_of(browser, running) as tab:
            assert tab.button("Pause").is_disabled()
            for given, words in (("wrong-secret-of-letters", "not the token"), (token.read_text().strip(), "Unlocked")):
                tab.page.get_by_label("Token that changes need").fill(given)
                tab.button("Unlock").click()
                tab.shows(".result", words)
            tab.button("Pause").click()
            tab.shows(".status", "Paused")
