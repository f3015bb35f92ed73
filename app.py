"""A page in the browser to try pairs: begin runs of train.py, watch, stop and resume them, finish images again."""

if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("app")

import html
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from models.inference import DIRECTIONS, TrainedPair, default_injection_scale
from models.results import finish_again
from training.turns import Training
from utils.arguments import LineParser, number, pathname
from utils.device import pick_device
from utils.errors import ROOT, StopRequest, UserError
from utils.run_folder import RunFolder

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr

EXAMPLES = {"Two landscapes": ("autumn_ridge", "alpine_path"), "Balloons and jellyfish": ("balloons", "jellyfish")}
PRESETS = [("Quick: minutes on a laptop", "quick"), ("As published: needs a GPU, or days", "paper")]
MORE = {"quick": ["--print_interval", "30"], "paper": ["--finish_size", "512"]}  # pictures early, and large ones
SAMPLES = {"fake_a": "New, like A", "a2b": "with B's look", "fake_b": "New, like B", "b2a": "with A's look"}
CSS = "footer {display: none !important} .grid-wrap {max-height: none !important}"


@contextmanager
def told() -> Iterator[None]:
    """What a person can get wrong, as one line on the page."""
    try:
        yield
    except (UserError, OSError) as error:
        raise gr.Error(html.escape(str(error), quote=False), duration=None, title="", print_exception=False) from None


class Page:
    """The page on the runs in a folder."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.trainings: dict[str, Training] = {}  # begun here, by the name of the run
        with gr.Blocks(title="Structural analogy", analytics_enabled=False) as self.blocks, gr.Row():
            with gr.Column(min_width=320):
                gr.Markdown("# Structural analogy\nA's scene with B's look, and B's scene with A's look.")
                with gr.Row():
                    pair = [gr.Image(label=x, sources=["upload"], height=180, min_width=120) for x in "AB"]
                examples = [[str(ROOT / "images" / f"{name}.jpg") for name in names] for names in EXAMPLES.values()]
                gr.Examples(examples, pair, example_labels=list(EXAMPLES))
                preset = gr.Radio(PRESETS, value="quick", label="Settings")
                seed = gr.Number(1, label="Seed", precision=0, minimum=0)
                more = gr.Textbox(label="More options of train.py", placeholder="--niter 1000 --lambda_layout 0")
                start = gr.Button("Start", variant="primary")
            with gr.Column(scale=2, min_width=320):
                run, state, seen = gr.Dropdown(label="Run", filterable=False), gr.HTML(), gr.State()
                # Not among what is drawn anew: a click would be lost meanwhile, or meet the run shown before.
                stop, resume = gr.Button("Stop", visible=False), gr.Button("Resume", visible=False)
                gr.render(seen, show_progress="hidden")(self.results)
            # As they were sent: it is for train.py to open the images, or to say why it cannot.
            start.click(self.begin, [*pair, preset, seed, more], run, preprocess=False, scroll_to_output=True)
            gr.on([self.blocks.load, run.focus], self.runs, run, run, show_progress="hidden")
            stop.click(self.stop, run)
            resume.click(self.resume, run)
            shown = [state, stop, resume, seen]
            gr.on([gr.Timer(1).tick, run.change], self.watch, run, shown, show_progress="hidden")

    def runs(self, chosen: str | None) -> gr.Dropdown:
        """The list of runs, newest first; nothing `chosen` is sent back: another may be picked meanwhile."""
        found = sorted(self.out.glob("*/config.json"), key=lambda file: file.stat().st_mtime, reverse=True)
        names = [file.parent.name for file in found if RunFolder(file.parent).record.get("script") == "train.py"]
        names = list(dict.fromkeys([*reversed(self.trainings), *names]))
        return gr.Dropdown(names) if chosen else gr.Dropdown(names, value=next(reversed(self.trainings), None))

    @told()
    def begin(self, a: dict | None, b: dict | None, preset: str, seed: int, more: str | None) -> gr.Dropdown:
        pair = [Path(sent["path"]).resolve() for sent in (a, b) if sent]
        if [file.is_relative_to(self.out.resolve() / "uploads") for file in pair] != [True, True]:
            raise UserError("choose two images first, A and B")
        name = "_".join([*(re.sub(r"\W+", "_", file.stem)[:30] for file in pair), time.strftime("%Y%m%d_%H%M%S")])
        if name in self.trainings:  # a second click
            return self.runs(name)
        words = ["--preset", preset, "--keep_aspect", *MORE[preset], "--seed", seed, *(more or "").split()]
        # Of an option that is given twice the last one counts: `more` chooses no files.
        words += ["--load=", "--input_a", pair[0], "--input_b", pair[1], "--out", self.out / name]
        self.trainings[name] = Training([str(word) for word in words])
        return self.runs(None)

    def busy(self, name: str) -> bool:
        return name in self.trainings and not self.trainings[name].turn.done()

    def stop(self, name: str) -> None:
        if self.busy(name):
            self.trainings[name].stop()

    def resume(self, name: str) -> None:
        if not self.busy(name):
            self.trainings[name] = Training(["--load", str(self.out / name)])

    def watch(self, name: str | None) -> tuple[str, gr.Button, gr.Button, list[str]]:
        """A run's state as HTML, its buttons, and what `results` needs: the run, its state, the newest samples."""
        if name is None:
            return "Choose two images and press Start, or open an earlier run.", *[gr.Button(visible=False)] * 2, []
        training, record, percent = self.trainings.get(name), RunFolder(self.out / name).record, 0
        phase = "finished" if record.get("finished") else "stopped" if record else "not begun"
        lines = [phase.capitalize(), *(training.notes if training else [])]
        if self.busy(name):
            phase, (lines[0], percent) = "training", training.progress()
        bar = f"<div style='height: 4px; width: {percent}%; background: var(--color-accent)'></div>"
        lines = [html.escape(re.sub(r"\S*/uploads/\w+/", "", line)) for line in lines]
        samples = sorted((self.out / name).glob("samples/*.png"))[-len(SAMPLES) :]
        buttons = [gr.Button(visible=phase == its) for its in ("training", "stopped")]
        return "<br>".join(lines) + bar, *buttons, [name, phase, *map(str, samples)]

    @told()
    def results(self, seen: list[str]) -> None:
        """What there is to see of a run, and to do with it."""
        if not seen:
            return
        name, phase, *samples = seen
        folder = self.out / name
        if phase != "finished":
            shown = [(file, SAMPLES[kind]) for kind in SAMPLES for file in samples if file.endswith(f"{kind}.png")]
            gr.Gallery(shown, label="Learned so far", columns=2, object_fit="contain", visible=bool(shown), buttons=[])
            return
        pair, files = TrainedPair.load(folder, pick_device(None, False)), finished(folder)
        used, buttons = pair.folder.options(), ["download", "fullscreen"]
        with gr.Row():
            titles = ("A's scene with B's look", "B's scene with A's look")
            pictures = [gr.Image(files[k], label=titles[k], buttons=buttons) for k in (0, 1)]
        with gr.Row():
            finest, usual = pair.geometry.stop_scale, default_injection_scale(pair.geometry.shapes)
            scale = gr.Slider(0, finest, usual, step=1, label="Injection scale", info="Low: freer", interactive=True)
            close = gr.Slider(0, 2, used["structure"], step=0.1, label="Structure", info="Low: freer", interactive=True)
            size = gr.Slider(256, 1024, used["finish_size"] or 512, step=64, label="Size", info="px", interactive=True)
        again = gr.Button("Finish again")
        with gr.Accordion("Where each pixel comes from", open=False), gr.Row():
            pictures += [gr.Image(file, show_label=False, buttons=buttons) for file in files[2:]]
        again.click(told()(lambda *chosen: finished(finish_again(pair, *chosen))), [scale, close, size], pictures)
        pack, file = gr.Button("Download the run"), gr.File(label="The run", visible=False)
        archive = str(self.out / "uploads" / name)
        pack.click(lambda: gr.File(shutil.make_archive(archive, "zip", folder), visible=True), None, file)


def finished(folder: Path) -> list[Path | None]:
    """a2b and b2a, and where their pixels come from; None what is not there."""
    names = [(f"finished_{direction}.png", f"real_{direction}.png") for direction in DIRECTIONS]
    names += [(f"finished_{direction}_source.png",) for direction in DIRECTIONS]
    return [next((folder / name for name in one if (folder / name).exists()), None) for one in names]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = LineParser("A web page for trying pairs.")
    parser.add_argument("--out", type=pathname, default=Path("runs"), metavar="DIR", help="of all runs; default: runs")
    parser.add_argument("--port", type=number(1, 65536, kind=int), help="default: the first free one from 7860")
    parser.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS", help="0.0.0.0 lets other machines connect")
    parser.add_argument("--password", metavar="WORD", help="the user name is 'user'; required with --listen")
    options = parser.parse_args(arguments)
    if options.listen != "127.0.0.1":
        if not options.password:
            raise UserError("--listen: anyone who connects can train here; choose a --password")
        print("warning: the page is open to other machines, and its password travels unencrypted", file=sys.stderr)
    os.environ["GRADIO_TEMP_DIR"] = str(options.out.absolute() / "uploads")
    page = Page(options.out.absolute())
    door = {"server_name": options.listen, "server_port": options.port, "share": False, "max_file_size": "50mb"}
    door |= {"allowed_paths": [str(page.out)], "auth": ("user", options.password) if options.password else None}
    door["auth_message"] = "The username is user."
    style = {"theme": gr.themes.Default(font="sans-serif", font_mono="monospace"), "css": CSS}
    with StopRequest() as stop:
        _, url, _ = page.blocks.launch(**door, **style, quiet=True, prevent_thread_lock=True)
        print(url, flush=True)
        while not stop():
            time.sleep(0.2)
        for training in page.trainings.values():
            training.stop()
        Training.turns.shutdown()
    return 0
