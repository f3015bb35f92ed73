"""The page that compares runs: what stands in it, and how it behaves in a browser."""

import base64
import hashlib
import html
import importlib.util
import io
import json
import re
import resource
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import ROOT, make_picture
from folders import copy_run
from PIL import Image

from utils.run_folder import RunFolder
from utils.runs.state import run_state

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
FINAL = ["real_a2b", "real_b2a", "final_fake_a", "final_a2b", "final_fake_b", "final_b2a"]
FINISHED = ["finished_a2b", "finished_b2a", "finished_a2b_source", "finished_b2a_source"]
NASTY = "<img src=x onerror=alert(1)> & \"quoted' {{ 7*7 }}"


def load_report():
    spec = importlib.util.spec_from_file_location("report", ROOT / "scripts" / "report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


report = load_report()


def make_run(
    folder: Path, pair: tuple[Path, Path], seed: int, scales: int = 3, finished: bool = False, **options: object
) -> Path:
    """A folder as train.py leaves it, of three scales (12, 16 and 20 px), with weights that are empty files."""
    (folder / "samples").mkdir(parents=True)
    given = {"input_a": str(pair[0]), "input_b": str(pair[1]), "img_size": 20, "min_size": 12, "max_size": 250}
    given |= {"scale_factor": 0.55, "niter": 4, "beta": 1.0, "out": str(folder)} | options
    prints = [hashlib.sha256(Image.open(path).convert("RGB").tobytes()).hexdigest() for path in pair]
    (folder / "config.json").write_text(json.dumps({"options": given, "fingerprints": prints}))
    lines = []
    for scale in range(scales):
        RunFolder(folder).scale(scale).touch()
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
        if finished:
            for index, name in enumerate(FINISHED):
                make_picture(folder / f"{name}.png", 2000 * seed + index, (300, 200))
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
            folder = top / f"pair{index}" / f"beta_{beta:g}"
            make_run(folder, pair, 2 * index + int(beta > 1), finished=index == 1, beta=beta)
    make_run(top / "unfinished", pairs[0], 7, scales=1, beta=100.0)
    make_run(top / NASTY.replace("/", ""), pairs[0], 8, note="</script><script>alert(2)</script>")
    damaged = make_run(top / "damaged", pairs[0], 9)
    (damaged / "real_a2b.png").write_bytes(b"not a picture")
    (damaged / "log.jsonl").write_text('{"scale": 0, "step": "x"}\n{"scale": 0, "st')
    (top / "pair1" / "beta_10" / "final_a2b.png").unlink()
    (top / "foreign").mkdir()
    (top / "foreign" / "config.json").write_text("[1, 2")
    (top / "never.log").write_text("$ train.py\nerror: --alpha: must be a number, not 'x'\n")
    (top / "nohup.log").write_text("somebody's own\n")
    for name, option in (("evaluation", "inject_levels"), ("refined", "start_scale"), ("finished", "learned_size")):
        (top / name).mkdir()
        (top / name / "config.json").write_text(json.dumps({"options": {option: 5}}))
    return top


def write_page(top: Path, out: Path, *flags: str) -> Path:
    assert report.main([str(top), "--out", str(out), *flags]) == 0
    return out


@pytest.fixture(scope="module")
def page(runs) -> Path:
    return write_page(runs, runs / "report.html")


class Rows(HTMLParser):
    """The rows of the list: attributes and text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.rows: list[tuple[dict, list[str]]] = []
        self.tags: list[str] = []
        self.over = False
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        if tag == "tr" and "data-sort" in dict(attributes):
            self.rows.append((dict(attributes), []))

    def handle_endtag(self, tag: str) -> None:
        self.over = self.over or tag == "tbody"

    def handle_data(self, data: str) -> None:
        if self.rows and not self.over:
            self.rows[-1][1].append(data.strip())

    def of(self, name: str) -> tuple[dict, str]:
        """Sort values and text of a run."""
        [(attributes, text)] = [row for row in self.rows if json.loads(row[0]["data-sort"])["name"] == name]
        return json.loads(attributes["data-sort"]), " ".join(text)


def test_every_run_has_a_row_that_says_what_is_wrong(page):
    rows = Rows(page)
    names = [json.loads(row["data-sort"])["name"] for row, _ in rows.rows]
    good = ["pair0/beta_1", "pair0/beta_10", "pair1/beta_1", "pair1/beta_10"]
    assert sorted(names) == sorted([*good, "unfinished", NASTY.replace("/", ""), "damaged", "foreign", "never"])
    assert "1 of 3 scales finished" in rows.of("unfinished")[1]
    assert "real_a2b.png: cannot be read" in rows.of("damaged")[1]
    assert "final_a2b.png: no such file" in rows.of("pair1/beta_10")[1]
    assert "config.json is damaged" in rows.of("foreign")[1]
    assert "did not start" in rows.of("never")[1]
    assert "must be a number, not 'x'" in rows.of("never")[1]


def test_sort_values(page):
    good, _ = Rows(page).of("pair0/beta_10")
    assert {key for key in good if key.startswith("flag ")} == {"flag beta", "flag note"}  # only those that differ
    assert good["flag beta"] == 10.0
    assert good["time"] == 108.0  # 36 s at the end of each of the three scales
    assert good["pair"] == "a / one"
    assert -1 <= good["layout_agreement real_a2b"] <= 1
    assert good["sliced_wasserstein real_b2a"] > 0
    damaged, _ = Rows(page).of("damaged")
    assert damaged["layout_agreement real_a2b"] is None
    assert damaged["layout_agreement real_b2a"] is not None
    assert damaged["time"] is None


def test_text_is_escaped_and_pictures_are_kept_once(page):
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "<script>alert" not in text
    assert "49" not in re.findall(r"quoted[^<]{0,20}", text)[0]
    assert Rows(page).tags.count("script") == 2
    images = json.loads(re.search(r'id="images">(.*?)</script>', text, re.DOTALL)[1])
    assert set(re.findall(r'data-image="(\w+)"', text)) == images.keys()
    assert len(set(images.values())) == len(images)


def pixels_of(page: Path, address: str) -> list[int]:
    """The size and the pixels of the picture at an address on the page."""
    images = json.loads(re.search(r'id="images">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)[1])
    if address in images:
        file = io.BytesIO(base64.b64decode(images[address].partition(",")[2]))
    else:
        file = page.parent / unquote(address)
    with Image.open(file) as picture:
        return [picture.size, picture.convert("RGB").tobytes()]


@pytest.mark.parametrize(("place", "embed"), [("runs", False), ("elsewhere", False), ("elsewhere", True)])
def test_whole_pictures_are_the_runs_own(place, embed, tmp_path, pair):
    """Beside the page or inside it, whatever the folders are called."""
    run = make_run(tmp_path / "runs" / "50% of #1?&é: 'x'", pair, 1, finished=True)
    (tmp_path / "elsewhere").mkdir()
    page = write_page(tmp_path / "runs", tmp_path / place / "page.html", *["--embed"] * embed)
    found = dict(re.findall(r'data-name="(\w+)"[^>]*data-whole="([^"]+)"', page.read_text("utf-8")))
    assert list(found)[:4] == FINISHED
    for name in (*FINISHED, "real_a2b"):
        assert pixels_of(page, html.unescape(found[name])) == pixels_of(page, str(run / f"{name}.png"))
        assert ("/" in found[name]) != embed


NONSENSE = {
    "img_size": [10**9, 32768, 21, -1, 0, None, "220", 20.5, [1] * 1000, {}, True, float("nan"), float("inf"), 10**400],
    "scale_factor": [2, 0, -1, 1e-320, 1 - 1e-16, float("nan"), "x", None],
    "input_a": [None, 5, "", "a\0b", "x" * 5000, "/", "/dev/zero", ["a"], "\ud800"],
    "beta": [10**400, float("nan"), list(range(10000)), "x" * 10**5, {"a": {}}, "\ud800</script>\u2028"],
    "keep_aspect": [None, 5, "no"],
}


def test_runs_whose_config_is_nonsense_cost_no_other_its_row(tmp_path, pair, capsys):
    top = tmp_path / "runs"
    good = make_run(top / "good", pair, 1)
    write_page(top, tmp_path / "page.html")
    config = json.loads((good / "config.json").read_text())
    texts = [
        "",
        "null",
        "[]",
        '{"options": []}',
        '{"options": {}}',
        "[" * 10**5,
        "\x00",
        "9" * 5000,
        " " * 2**21 + "{}",
    ]
    texts += [json.dumps(config | {"fingerprints": value}) for value in (None, 5, [1], [[], {}], "ab")]
    options = [{name: value} for name, values in NONSENSE.items() for value in values]
    options += [{f"option_{number}": number for number in range(5000)}]
    texts += [json.dumps(config | {"options": config["options"] | each}) for each in options]
    for index, text in enumerate(texts):
        (copy_run(good, top / f"bad_{index}") / "config.json").write_text(text)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = Rows(write_page(top, tmp_path / "page.html"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB
    assert "Traceback" not in capsys.readouterr().err
    assert len(rows.rows) == 1 + len(texts)
    assert rows.of("good")[0]["layout_agreement real_a2b"] is not None
    for row, words in rows.rows:
        json.loads(row["data-sort"], parse_constant=pytest.fail)  # a browser knows no NaN
        assert len("".join(words)) < 5000
    first = len(texts) - len(options)  # the first of NONSENSE["img_size"]
    for index, wrong in (
        (0, "damaged"),
        (8, "damaged"),
        (first, "damaged"),
        (first + 1, "img_size 32768 is not that of"),
    ):
        assert wrong in rows.of(f"bad_{index}")[1]
    assert (tmp_path / "page.html").stat().st_size < 3e6


def test_logs_folders_and_caches_as_they_may_be(tmp_path, pair):
    """None of it ends the page; a long log makes it no larger."""
    top = tmp_path / "runs"
    good = {"scale": 0, "step": 1, "G/x": 1.0, "seconds": 1.0}
    records = [good | change for change in ({"step": 10**300}, {"step": -1}, {"seconds": 1e308}, {"G/x": float("nan")})]
    records += [
        good | {"G/x": 1e308, "step": 2},
        good | {"G/x": -1e308, "step": 3},
        good | {f"G/{n}": n for n in range(999)},
    ]
    make_run(top / "log", pair, 1).joinpath("log.jsonl").write_text("\n".join(map(json.dumps, records)))
    long = [json.dumps(good | {"step": step, "scale": step % 2}) for step in range(20000)]
    make_run(top / "long", pair, 2).joinpath("log.jsonl").write_text("\n".join(long))
    make_run(top / "²", pair, 3)  # a digit that is no number
    make_run(top / "config", pair, 4).joinpath("config.json").unlink()
    (top / "config" / "config.json").mkdir()
    make_run(tmp_path / "far away", pair, 5)
    (top / "link").symlink_to(tmp_path / "far away")
    (top / "circle").symlink_to(top)
    for index, cache in enumerate(["", "[]", '{"code": 1}', '{"code": "x", "values": {"a": 1}}']):
        (make_run(top / f"cache{index}", pair, index) / "report_cache.json").write_text(cache)
    (make_run(top / "cache", pair, 6) / "report_cache.json").mkdir()
    page = write_page(top, tmp_path / "page.html")
    names = [json.loads(row["data-sort"])["name"] for row, _ in Rows(page).rows]
    assert names == ["cache", *(f"cache{n}" for n in range(4)), "config", "link", "log", "long", "²"]
    assert "report_cache.json: cannot be written" in Rows(page).of("cache")[1]
    assert page.stat().st_size < 1e6


def test_what_is_known_is_not_worked_out_again(tmp_path, pair, monkeypatch):
    inputs = (shutil.copy(pair[0], tmp_path / "a.png"), shutil.copy(pair[1], tmp_path / "b.png"))
    run = make_run(tmp_path / "runs" / "x", inputs, 1)
    first = write_page(tmp_path / "runs", tmp_path / "1.html")
    assert RunFolder(run).report_cache in RunFolder(run).own_files()
    measured = []
    monkeypatch.setattr("scripts.run_summary.measure", lambda *tensors: measured.append(1) or {"layout_agreement": 0.5})
    monkeypatch.setattr("scripts.run_pictures.open_image", None)  # not called
    again = write_page(tmp_path / "runs", tmp_path / "2.html")
    assert Rows(again).rows == Rows(first).rows
    assert not measured
    monkeypatch.undo()
    # One picture changes: what depends on it is worked out again, and nothing else.
    monkeypatch.setattr("scripts.run_summary.measure", lambda *tensors: measured.append(1) or {"layout_agreement": 0.5})
    make_picture(run / "real_a2b.png", 77, (20, 20))
    row, _ = Rows(write_page(tmp_path / "runs", tmp_path / "3.html")).of("x")
    assert (row["layout_agreement real_a2b"], len(measured)) == (0.5, 1)
    assert row["layout_agreement real_b2a"] == Rows(first).of("x")[0]["layout_agreement real_b2a"]
    make_picture(tmp_path / "b.png", 99)
    row, text = Rows(write_page(tmp_path / "runs", tmp_path / "4.html")).of("x")
    assert "is not the picture the run was trained on any more" in text
    assert not any(key.startswith("layout") for key in row)


def test_a_real_run(trained, tmp_path):
    run = copy_run(trained, tmp_path / "run")
    sort, text = Rows(write_page(run, tmp_path / "out.html")).of("run")
    assert sort["state"] == "finished"
    assert sort["colour_mean real_a2b"] is not None
    assert "config.json" not in text


def test_unusable_folders_are_one_line(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for arguments in (["missing"], ["file"], ["empty"], [""], [str(tmp_path / "file")], [str(tmp_path / "empty")]):
        with pytest.raises(report.UserError, match="RUNS_DIR"):
            report.main(arguments)


def test_run_states(tmp_path, pair):
    assert run_state(RunFolder(tmp_path / "missing")).kind == "empty"
    assert run_state(RunFolder(tmp_path / ("x" * 300))).kind in {"empty", "foreign"}
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
    # The page and the runs' own pictures, nothing else.
    own = page.parent.as_uri() + "/"
    tab.on("request", lambda request: None if request.url.startswith(("data:", own)) else seen.append(request.url))
    tab.goto(page.as_uri())
    yield tab
    context.close()
    assert seen == []


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


def loaded(tab, selector: str) -> list:
    """[width, address] of a picture, once it is there."""
    tab.wait_for_function("s => document.querySelector(s).complete", arg=selector)
    return tab.locator(selector).evaluate("e => [e.naturalWidth, e.src]")


def test_a_picture_opens_large_with_its_growth(tab, page):
    row = tab.locator("#runs tbody tr", has_text="pair0/beta_1").first
    row.locator('[data-open="real_b2a"]').click()
    whole = (page.parent / "pair0" / "beta_1" / "real_b2a.png").as_uri()
    assert loaded(tab, ".large img") == [20, whole]
    assert tab.locator(".growth").count() == 4
    assert tab.locator(".growth button").count() == 12
    tab.locator(".growth button").nth(3).click()
    assert tab.locator(".large figcaption").inner_text() == "a2b at the end of scale 0, 12 px"
    assert loaded(tab, ".large img")[0] == 12
    assert tab.locator(".panel polyline").count() == 2
    tab.click("#next")
    assert tab.locator("#view-title").inner_text() == "pair0/beta_10"
    tab.click("#close")
    assert not tab.locator("#view").is_visible()


def test_finished_pictures_come_first_and_large(tab, page):
    row = tab.locator("#runs tbody tr", has_text="pair1/beta_1").first
    widths = row.locator("td img").evaluate_all("them => them.map(e => e.parentElement.clientWidth)")
    assert min(widths[:2]) > 1.9 * max(widths[2:])
    row.locator(".name").click()
    assert loaded(tab, ".large img") == [300, (page.parent / "pair1" / "beta_1" / "finished_a2b.png").as_uri()]
    assert tab.locator(".strip button").count() == 12


def test_a_page_without_its_runs_shows_the_reduced_pictures(browser, page, tmp_path):
    alone = shutil.copy(page, tmp_path / "sent.html")
    tab = browser.new_page()
    tab.goto(alone.as_uri())
    tab.locator("#runs tbody tr", has_text="pair1/beta_1").first.locator(".name").click()
    tab.locator(".large figcaption", has_text="reduced").wait_for()
    assert loaded(tab, ".large img")[0] == 256
    tab.close()


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


def test_dark_and_light_are_readable(tab):
    script = "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        ink, paper = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in tab.locator("body").evaluate(script))
        assert abs(ink - paper) > 400
        assert (paper > ink) == (scheme == "light")


def test_on_a_phone_nothing_is_wider_than_the_screen(tab):
    tab.set_viewport_size({"width": 375, "height": 700})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375
    tab.locator('[data-open="real_a2b"]').first.click()
    assert tab.locator("#view .body").evaluate("e => e.scrollWidth <= e.clientWidth")
