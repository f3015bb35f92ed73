"""The page that compares runs."""

import re
import shutil
from pathlib import Path

import pytest
from folders import copy_run

from scripts import report

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory, trained):
    """The page of two runs, and of one that did not begin."""
    top = tmp_path_factory.mktemp("runs") / "a <b> & c"
    for name in ("run 10", "run 2 <i>"):
        copy_run(trained, top / name)
    (top / "dead.log").write_text("$ python train.py\nerror: <b>bad</b>\n")
    assert report.main([str(top)]) == 0
    return top / "report.html"


def test_every_text_is_escaped_and_pictures_are_inside(page):
    text = page.read_text(encoding="utf-8")
    assert "<title>a &lt;b&gt; &amp; c" in text and "run 2 &lt;i&gt;" in text
    assert "&lt;b&gt;bad&lt;/b&gt;" in text and "<b>bad" not in text
    assert not re.search(r"""(src|href)=["']https?:""", text)
    assert text.count('class="thumb"') >= 4


def test_best_values_are_per_pair_and_settings_of_several_pairs_have_means():
    def row(name, layout, colour):
        measures = {"layout_agreement a2b": layout, "colour_mean a2b": colour}
        return report.Row(name, "finished", name.split("/")[0], {"input_a": "a", "beta": 2}, measures, Path(name))

    rows = [row("x/one", 0.5, 0.1), row("x/two", 0.7, 0.3), row("y/one", 0.9, 0.2)]
    assert report.best(rows) == {("x/two", "layout_agreement a2b"), ("x/one", "colour_mean a2b")}
    (mean,) = report.means(rows)
    assert mean.measures == pytest.approx({"layout_agreement a2b": 0.7, "colour_mean a2b": 0.15})
    assert (mean.name, mean.options) == ("mean of 2: one", {"beta": 2})


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
        assert tab.evaluate(names) == ["dead", "run 2 <i>", "run 10"]
        tab.click("th button >> nth=0")
        assert tab.evaluate(names) == ["run 10", "run 2 <i>", "dead"]
        tab.fill("#filter", "run 2 <i>")
        assert tab.evaluate(names) == ["run 2 <i>"]
        tab.click("summary:visible >> nth=0")
        tab.wait_for_selector("#runs figure:visible")
        assert all(url.startswith(("file:", "data:")) for url in asked) and errors == []
        browser.close()


def test_a_damaged_picture_is_said_and_the_page_stays_whole(tmp_path, trained):
    run = copy_run(trained, tmp_path / "run")
    (run / "real_a2b.png").write_bytes(b"no picture")
    assert report.main([str(tmp_path)]) == 0
    row = report.read_run(run, tmp_path)
    assert "real_b2a" in row.pictures and "real_a2b" not in row.pictures
    assert "real_a2b.png" in row.problems[0] and "colour_mean b2a" in row.measures


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
