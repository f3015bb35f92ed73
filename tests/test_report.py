"""The page that compares runs."""

import re
import shutil

import pytest
from folders import copy_run

from scripts import report

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory, trained):
    """The page of two runs, and of one that did not begin."""
    top = tmp_path_factory.mktemp("runs") / "a <b> & c"
    for name in ("one", "two <i>"):
        copy_run(trained, top / name)
    (top / "dead.log").write_text("$ python train.py\nerror: <b>bad</b>\n")
    assert report.main([str(top)]) == 0
    return top / "report.html"


def test_every_text_is_escaped_and_pictures_are_inside(page):
    text = page.read_text(encoding="utf-8")
    assert "<title>a &lt;b&gt; &amp; c" in text and "two &lt;i&gt;" in text
    assert "&lt;b&gt;bad&lt;/b&gt;" in text and "<b>bad" not in text
    assert not re.search(r"""(src|href)=["']https?:""", text)
    assert text.count('class="thumb"') >= 4


def test_best_values_are_per_pair_and_direction(tmp_path):
    def row(name, pair, **measures):
        return report.Row(name, tmp_path, "finished", {"input_a": pair, "input_b": pair}, measures=measures)

    rows = [row("1", "x", layout_agreement=0.5, colour_mean=0.1), row("2", "x", layout_agreement=0.7, colour_mean=0.3)]
    rows.append(row("3", "alone", layout_agreement=0.9))
    assert report.best(rows) == {("2", "layout_agreement"), ("1", "colour_mean")}


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_sorted_filtered_and_opened_in_a_browser(page):
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        asked, errors = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.as_uri())
        names = "[...document.querySelectorAll('#runs tr:not([hidden]) summary')].map(one => one.innerText.trim())"
        assert tab.evaluate(names) == ["dead", "one", "two <i>"]
        tab.click("th button >> nth=0")
        tab.click("th button >> nth=0")
        assert tab.evaluate(names) == ["two <i>", "one", "dead"]
        tab.fill("#filter", "two <i>")
        assert tab.evaluate(names) == ["two <i>"]
        tab.click("summary:visible >> nth=0")
        tab.wait_for_selector("#runs figure:visible")
        assert all(url.startswith(("file:", "data:")) for url in asked) and errors == []
        browser.close()


def test_what_is_damaged_is_said_and_the_page_stays_whole(tmp_path, trained):
    top = tmp_path / "runs"
    picture, config = copy_run(trained, top / "picture"), copy_run(trained, top / "config")
    for file in (picture / "real_a2b.png", config / "config.json"):
        file.write_bytes(file.read_bytes()[:60])
    assert report.find_runs(top) == [config, picture]
    row = report.read_run(picture, top)
    assert "real_b2a" in row.pictures and "real_a2b" not in row.pictures
    assert any("real_a2b.png" in problem for problem in row.problems)
    row = report.read_run(config, top)
    assert row.problems == ["config.json is damaged"] and "real_a2b" in row.pictures
    assert report.main([str(top)]) == 0


LOGS = {
    "$ python train.py\nerror: --niter 0: too few\n": ("failed", ["error: --niter 0: too few"]),
    "$ python train.py\nTraceback (most recent call last):\n  File\nValueError: 7\n": ("failed", ["ValueError: 7"]),
    "$ python train.py\nerror: once\n$ python train.py --load\nscale 1, step 5\n": ("not begun", []),
}


@pytest.mark.parametrize("log", LOGS, ids=["error", "traceback", "tried again"])
def test_a_sweeps_log_tells_why_a_run_failed(tmp_path, log):
    (tmp_path / "one.log").write_text(log)
    row = report.read_run(tmp_path / "one", tmp_path)
    assert (row.state, row.problems) == LOGS[log]
