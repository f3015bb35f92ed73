"""The page of app.py: in a browser, what it serves, whom it lets in."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPError, Request, build_opener, urlopen

import pytest
from conftest import ROOT, run_process

from training.turns import Training

pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="Gradio is not installed")
PORT = 20_000 + os.getpid() % 10_000  # nobody else's
CHROMIUM = shutil.which("chromium")
# Three tiny scales, with steps enough to be stopped between them.
TINY = "--img_size 15 --min_size 12 --scale_factor 0.7 --nfc 4 --min_nfc 4 --gpu_id -1 --niter 100 --print_interval 20"
TINY += " --finish_size 256"
USER = {"username": "user", "password": "x"}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page as a person starts it for others: its address, and the folder of its runs; ends as Ctrl-C ends it."""
    out, door = tmp_path_factory.mktemp("page") / "runs", ["--listen", "127.0.0.2", "--password", USER["password"]]
    command = [sys.executable, str(ROOT / "app.py"), "--out", str(out), "--port", str(PORT), *door]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip(), out
        finally:
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in told, told


@pytest.fixture
def tab(page):
    """The page in a browser; at the end, nothing was asked of any other machine."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with pytest.importorskip("playwright.sync_api").sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab, asked = chromium.new_page(), []
        tab.set_default_timeout(120_000)
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page[0])
        for label, value in USER.items():
            tab.get_by_label(label).fill(value)
        tab.get_by_role("button", name="Login").click()
        yield tab
        chromium.close()
    assert asked and [url for url in asked if not url.startswith((page[0], "data:", "blob:"))] == []


def begin(tab, *pair) -> None:
    """Send both images, and start."""
    for index, image in enumerate(pair):
        tab.locator("input[type=file]").nth(index).set_input_files(image)
    tab.get_by_label("More").fill(TINY)
    tab.get_by_role("button", name="Start").click()


def test_a_run_from_upload_to_download(tab, page, pair, tmp_path):
    begin(tab, *pair)
    tab.get_by_text(re.compile(r"Scale 0, step \d+/100, .* left")).wait_for()
    tab.get_by_role("button", name="Stop").click()
    tab.get_by_text("Stopped", exact=True).wait_for()
    (run,) = [file.parent for file in page[1].glob("*/state.safetensors")]

    # Resume it; another one waits for it, and leaves when it is stopped.
    tab.get_by_role("button", name="Resume").click()
    tab.get_by_text("Learned so far").wait_for()
    tab.get_by_role("button", name="Start").click()
    tab.get_by_text("Waiting: one training at a time").wait_for()
    tab.get_by_role("button", name="Stop").click()
    tab.get_by_text("Not begun").wait_for()

    # Open the first again, and finish as it was finished: the same pictures.
    tab.get_by_label("Run").click()
    tab.get_by_role("option", name=run.name).click()
    tab.get_by_role("button", name="Finish again").click()
    names = [f"finished_{name}.png" for name in ("a2b", "b2a", "a2b_source", "b2a_source")]
    again = [run / "again" / "scale2_structure1_256" / name for name in names]
    for _ in range(600):
        if not all(file.exists() for file in again):
            tab.wait_for_timeout(100)
    assert [file.read_bytes() for file in again] == [(run / name).read_bytes() for name in names]

    # Download a picture, and the run.
    tab.get_by_role("button", name="Download the run").click()
    for button, name in ((tab.get_by_label("Download").first, names[0]), (tab.locator("a[download$=zip]"), "run.zip")):
        with tab.expect_download() as download:
            button.click()
        download.value.save_as(tmp_path / name)
    assert (tmp_path / names[0]).read_bytes() == again[0].read_bytes()
    assert {"config.json", "scale_01.safetensors", "results.png"} < set(zipfile.ZipFile(tmp_path / name).namelist())


def test_a_stop_while_a_training_starts_is_not_lost():
    training = object.__new__(Training)  # with its process not yet there
    training.stopping, training.notes = True, []
    training._work(["--help"])
    assert training.process.returncode == -signal.SIGTERM


def test_a_wrong_file_ends_in_one_line(tab, pair, tmp_path):
    (tmp_path / "bad.png").write_text("no image")
    begin(tab, tmp_path / "bad.png", pair[1])
    tab.get_by_text("error: --input_a bad.png: cannot be read: not a still image that Pillow knows").wait_for()


def test_only_its_own_files_are_served_and_only_sent_ones_trained_on(page):
    send = build_opener(HTTPCookieProcessor()).open
    send(f"{page[0]}login", urlencode(USER).encode())
    for path in ("/etc/hostname", ROOT / "README.md", page[1].parent):
        with pytest.raises(HTTPError, match=r"40[34]"):
            send(f"{page[0]}gradio_api/file={path}")
    here = {"path": str(ROOT / "images" / "brick.jpg")}
    begin, words = f"{page[0]}gradio_api/call/begin", json.dumps({"data": [here, here, "quick", 1, ""]}).encode()
    event = json.load(send(Request(begin, words, {"Content-Type": "application/json"})))["event_id"]
    assert b"choose two images first" in send(f"{begin}/{event}").read()


def test_other_machines_need_the_password(page, tmp_path):
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{page[0]}gradio_api/info")
    refused = run_process("app.py", "--out", tmp_path, "--listen", "0.0.0.0")
    assert refused.code == 2 and refused.err.startswith("error: --listen: ") and refused.err.count("\n") == 1
