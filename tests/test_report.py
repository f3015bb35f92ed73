"""The page that compares runs: what stands in it, and how it behaves in a browser."""

import hashlib
import importlib.util
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import ROOT, make_picture
from PIL import Image

from utils.runs.run_folder import RunFolder
from utils.runs.state import run_state

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
FINAL = ["real_a2b", "real_b2a", "final_fake_a", "final_a2b", "final_fake_b", "final_b2a"]
NASTY = "<img src=x onerror=alert(1)> & \"quoted' {{ 7*7 }}"


def load_report():
    spec = importlib.util.spec_from_file_location("report", ROOT / "scripts" / "report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


report = load_report()


def make_run(folder: Path, pair: tuple[Path, Path], seed: int, scales: int = 3, **options: object) -> Path:
    """A folder as train.py leaves it, of three scales (12, 16 and 20 px), with weights that are empty files."""
    (folder / "samples").mkdir(parents=True)
    given = {"input_a": str(pair[0]), "input_b": str(pair[1]), "img_size": 20, "min_size": 12, "max_size": 250}
    given |= {"scale_factor": 0.55, "niter": 4, "beta": 1.0, "out": str(folder)} | options
    prints = [hashlib.sha256(Image.open(path).convert("RGB").tobytes()).hexdigest() for path in pair]
    (folder / "config.json").write_text(json.dumps({"options": given, "fingerprints": prints}))
    lines = []
    for scale in range(scales):
        (folder / f"scale_{scale:02d}.safetensors").touch()
        for step in (2, 4):
            lines.append(
                {"scale": scale, "step": step, "D/real_a": -1.0, "G/cycle_a": 0.5 / step, "seconds": step * 9.0}
            )
            for index, name in enumerate(("fake_a", "a2b", "fake_b", "b2a")):
                path = folder / "samples" / f"{scale:02d}_step{step:05d}_{name}.png"
                make_picture(path, 100 * seed + 10 * step + index, ((12, 16, 20)[scale],) * 2)
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if scales == 3:
        for index, name in enumerate(FINAL):
            make_picture(folder / f"{name}.png", 1000 * seed + index, (20, 20))
        (folder / "results.png").touch()
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Four good runs of two pairs, an unfinished one, and several kinds of broken ones."""
    top = tmp_path_factory.mktemp("sweep")
    pairs = []
    for index, name in enumerate(("one", "two")):
        folder = top.parent / f"{top.name}_inputs" / name
        folder.mkdir(parents=True)
        pairs.append((make_picture(folder / "a.png", 50 + index), make_picture(folder / f"{name}.png", 60 + index)))
    for index, pair in enumerate(pairs):
        for beta in (1.0, 10.0):
            make_run(top / f"pair{index}" / f"beta_{beta:g}", pair, 2 * index + int(beta > 1), beta=beta)
    make_run(top / "unfinished", pairs[0], 7, scales=1, beta=100.0)
    make_run(top / NASTY.replace("/", ""), pairs[0], 8, note="</script><script>alert(2)</script>")
    damaged = make_run(top / "damaged", pairs[0], 9)
    (damaged / "real_a2b.png").write_bytes(b"not a picture")
    (damaged / "log.jsonl").write_text('{"scale": 0, "step": "x"}\n{"scale": 0, "st')
    (top / "foreign").mkdir()
    (top / "foreign" / "config.json").write_text("[1, 2")
    (top / "never.log").write_text("$ train.py\nerror: --alpha: must be a number, not 'x'\n")
    evaluation = top / "evaluation"
    evaluation.mkdir()
    (evaluation / "config.json").write_text(json.dumps({"options": {"inject_levels": 5}}))
    return top


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("page") / "page.html"
    assert report.main([str(runs), "--out", str(out)]) == 0
    return out


class Rows(HTMLParser):
    """The rows of the list: attributes and text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.rows: list[tuple[dict, list[str]]] = []
        self.tags: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        if tag == "tr" and "data-sort" in dict(attributes):
            self.rows.append((dict(attributes), []))

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1][1].append(data.strip())

    def of(self, name: str) -> tuple[dict, str]:
        """Sort values and text of a run."""
        [(attributes, text)] = [row for row in self.rows if json.loads(row[0]["data-sort"])["name"] == name]
        return json.loads(attributes["data-sort"]), " ".join(text)


def test_every_run_has_a_row_and_no_evaluation_has(page, runs):
    names = [json.loads(row["data-sort"])["name"] for row, _ in Rows(page).rows]
    good = ["pair0/beta_1", "pair0/beta_10", "pair1/beta_1", "pair1/beta_10"]
    assert sorted(names) == sorted([*good, "unfinished", NASTY.replace("/", ""), "damaged", "foreign", "never"])


def test_a_row_says_what_is_wrong(page):
    rows = Rows(page)
    assert "1 of 3 scales finished" in rows.of("unfinished")[1]
    assert "real_a2b.png: cannot be read" in rows.of("damaged")[1]
    assert "config.json is damaged" in rows.of("foreign")[1]
    assert "must be a number, not 'x'" in rows.of("never")[1]
    assert "did not start" in rows.of("never")[1]


def test_sort_values(page):
    good, _ = Rows(page).of("pair0/beta_10")
    assert good["flag beta"] == 10.0
    assert good["time"] == 108.0  # 36 s at the end of each of the three scales
    assert good["pair"] == "a / one"
    assert -1 <= good["layout_agreement real_a2b"] <= 1
    assert good["sliced_wasserstein real_b2a"] > 0
    damaged, _ = Rows(page).of("damaged")
    assert damaged["layout_agreement real_a2b"] is None
    assert damaged["layout_agreement real_b2a"] is not None
    assert damaged["time"] is None


def test_only_flags_that_differ_are_columns(page):
    sort, _ = Rows(page).of("pair0/beta_1")
    assert {key for key in sort if key.startswith("flag ")} == {"flag beta", "flag note"}


def test_text_is_escaped(page):
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "<script>alert" not in text
    assert "49" not in re.findall(r"quoted[^<]{0,20}", text)[0]
    assert Rows(page).tags.count("script") == 2


def test_nothing_is_loaded_from_elsewhere(page):
    text = page.read_text(encoding="utf-8")
    assert "http" not in re.sub(r'http-equiv|"[A-Za-z0-9+/=,:;]{200,}"', "", text)


def test_pictures_are_kept_once(page):
    text = page.read_text(encoding="utf-8")
    images = json.loads(re.search(r'id="images">(.*?)</script>', text, re.DOTALL)[1])
    used = set(re.findall(r'data-image="(\w+)"', text))
    assert used == images.keys()
    assert len(set(images.values())) == len(images)


def test_an_input_that_changed_is_not_measured(tmp_path, pair):
    inputs = (shutil.copy(pair[0], tmp_path / "a.png"), shutil.copy(pair[1], tmp_path / "b.png"))
    make_run(tmp_path / "runs" / "x", inputs, 1)
    make_picture(tmp_path / "b.png", 99)
    out = tmp_path / "out.html"
    report.main([str(tmp_path / "runs"), "--out", str(out)])
    sort, text = Rows(out).of("x")
    assert "is not the picture the run was trained on any more" in text
    assert not any(key.startswith("layout") for key in sort)


def test_a_real_run(trained, tmp_path):
    out = tmp_path / "out.html"
    assert report.main([str(trained), "--out", str(out)]) == 0
    sort, _ = Rows(out).of(trained.name)
    assert sort["state"] == "finished"
    assert sort["colour_mean real_a2b"] is not None


@pytest.mark.parametrize("make_it", [lambda path: None, Path.mkdir, Path.touch])
def test_unusable_folders_are_one_line(make_it, tmp_path):
    make_it(tmp_path / "x")
    with pytest.raises(report.UserError, match="RUNS_DIR"):
        report.main([str(tmp_path / "x")])


def test_run_states(tmp_path, pair):
    assert run_state(RunFolder(tmp_path / "missing")).kind == "empty"
    assert run_state(RunFolder(tmp_path)).kind == "empty"
    run = make_run(tmp_path / "run", pair, 1)
    assert run_state(RunFolder(run)).kind == "finished"
    assert run_state(RunFolder(run / "config.json")).kind == "foreign"
    (run / "results.png").unlink()
    assert run_state(RunFolder(run)).kind == "unfinished"
    (run / "config.json").unlink()
    assert run_state(RunFolder(run)).kind == "foreign"


# ---- In a browser.


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser, page):
    """The page, opened from disk; fails on anything the console or the network sees."""
    seen: list[str] = []
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    tab = context.new_page()
    tab.on("console", lambda message: seen.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: seen.append(f"error: {error}"))
    tab.on("dialog", lambda dialog: seen.append(f"dialog: {dialog.message}"))
    tab.on("request", lambda request: None if request.url.startswith("data:") else seen.append(request.url))
    tab.goto(page.as_uri())
    yield tab
    context.close()
    assert seen == [page.as_uri()]


def names(tab) -> list[str]:
    return tab.eval_on_selector_all("#runs tbody tr:not([hidden]) .name", "them => them.map(e => e.textContent)")


def column(tab, key: str) -> list:
    """The sort values in the order of the rows, without the missing ones, which must come last."""
    script = "(rows, key) => rows.map(row => JSON.parse(row.dataset.sort)[key] ?? null)"
    values = tab.eval_on_selector_all("#runs tbody tr", script, key)
    present = [value for value in values if value is not None]
    assert values == present + [None] * (len(values) - len(present))
    return present


def test_every_column_sorts_both_ways(tab):
    keys = tab.eval_on_selector_all("thead [data-key]", "them => them.map(e => e.dataset.key)")
    assert {"name", "flag beta", "sliced_wasserstein real_a2b", "layout_agreement real_b2a", "time"} <= set(keys)
    for key in keys[1:]:
        head = tab.locator(f'thead [data-key="{key}"]')
        button = head if head.evaluate("e => e.tagName") == "BUTTON" else head.locator("button")
        for reverse in (False, True):
            button.click()
            values = column(tab, key)
            assert values
            if all(isinstance(value, int | float) for value in values):
                assert values == sorted(values, reverse=reverse), key
    assert tab.locator("th[aria-sort=descending]").count() == 1
    tab.select_option("#sort", "flag beta")
    assert column(tab, "flag beta") == sorted(column(tab, "flag beta"))


def test_filters(tab):
    tab.fill("#filter", "PAIR0 beta=10")
    assert names(tab) == ["pair0/beta_10"]
    assert tab.locator("#count").inner_text() == "1 of 9 shown"
    tab.press("#filter", "Escape")
    assert len(names(tab)) == 9
    tab.select_option('[data-key="flag beta"]:is(select)', "10")
    assert names(tab) == ["pair0/beta_10", "pair1/beta_10"]
    tab.select_option('[data-key="pair"]:is(select)', "a / two")
    assert names(tab) == ["pair1/beta_10"]
    tab.fill("#filter", "nothing like it")
    assert tab.locator("#nothing").is_visible()
    tab.click("button[type=reset]")
    tab.locator("#count", has_text="9 of 9 shown").wait_for()


def test_a_picture_opens_large_with_its_growth(tab):
    row = tab.locator("#runs tbody tr", has_text="pair0/beta_1").first
    thumb = row.locator('[data-open="real_b2a"]')
    wanted = thumb.locator("img").get_attribute("src")
    thumb.click()
    assert tab.locator(".large img").get_attribute("src") == wanted
    assert tab.locator(".large img").evaluate("e => e.naturalWidth") == 20
    assert tab.locator(".growth").count() == 4
    assert tab.locator(".growth button").count() == 12
    tab.locator(".growth button").nth(3).click()
    assert tab.locator(".large figcaption").inner_text() == "a2b at the end of scale 0, 12 px"
    assert tab.locator(".panel polyline").count() == 2
    tab.click("#next")
    assert tab.locator("#view-title").inner_text() == "pair0/beta_10"
    tab.click("#close")
    assert not tab.locator("#view").is_visible()


def test_by_keyboard_alone(tab):
    tab.keyboard.press("Tab")
    for _ in range(60):
        if tab.evaluate("document.activeElement.dataset.open") == "real_a2b":
            break
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert tab.locator("#view").is_visible()
    first = tab.locator(".large figcaption").inner_text()
    tab.keyboard.press("ArrowRight")
    assert tab.locator(".large figcaption").inner_text() != first
    tab.keyboard.press("ArrowLeft")
    assert tab.locator(".large figcaption").inner_text() == first
    tab.keyboard.press("Escape")
    assert not tab.locator("#view").is_visible()
    assert tab.evaluate("document.activeElement.dataset.open") == "real_a2b"


def test_broken_runs_open_too(tab):
    for name in ("never", "foreign", "unfinished", "damaged", "<img src=x"):
        tab.locator("#runs .name", has_text=name).click()
        assert name in tab.locator("#view-title").inner_text()
        tab.keyboard.press("Escape")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_and_light_are_readable(tab, scheme):
    tab.emulate_media(color_scheme=scheme)
    script = "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    ink, paper = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in tab.locator("body").evaluate(script))
    assert abs(ink - paper) > 400
    assert (paper > ink) == (scheme == "light")


def test_on_a_phone_nothing_is_wider_than_the_screen(tab):
    tab.set_viewport_size({"width": 375, "height": 700})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375
    tab.locator('[data-open="real_a2b"]').first.click()
    assert tab.locator("#view .body").evaluate("e => e.scrollWidth <= e.clientWidth")
