"""The runs of a sweep for scripts/sweep.sh, one a line: "pair/name TAB options of train.py, quoted for a shell"."""

import itertools
import re
import shlex
import sys
from collections.abc import Sequence
from glob import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("scripts.sweep_jobs")

from config import parse_train
from utils.arguments import LineParser, pathname
from utils.errors import UserError

NAME = re.compile(r"\*|\w[\w.-]*", re.ASCII)
LIST = re.compile(r"\{([^{}]*)\}")


def read_lines(path: Path) -> list[tuple[str, str, str]]:
    """Lines "name: rest" of a file, each as where it stands, name, rest; empty lines and comments left out."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            where, (name, colon, rest) = f"{path}, line {number}", line.partition(":")
            if not colon or not NAME.fullmatch(name):
                raise UserError(f"{where}: not 'name: ...'; a name has letters, digits and . _ - only")
            found.append((where, name, rest))
    return found


def split(text: str, where: str) -> list[str]:
    """The words of a line, as a shell has them; UserError where a quotation does not end."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def settings(grid: Path) -> list[tuple[str, str, list[str]]]:
    """Every run of a pair: where it stands, its name and its options."""
    lines, found = read_lines(grid), []
    common = " ".join(rest for _, name, rest in lines if name == "*")
    for where, name, rest in [line for line in lines if line[1] != "*"]:
        parts = LIST.split(f"{common} {rest}")  # options and lists in turn
        for values in itertools.product(*(text.split(",") for text in parts[1::2])):
            parts[1::2] = [value.strip() for value in values]
            words = split("".join(parts), where)
            found.append((where, "_".join([name, *(value.replace("/", "-") for value in parts[1::2])]), words))
    return found


def pairs(words: Sequence[Path]) -> list[tuple[str, Path, Path]]:
    """Name, A and B of every pair: of two images, a folder with NAME_A.* and NAME_B.* (or _a, _b), or a list."""
    if len(words) == 2:
        return [(f"{words[0].stem}-{words[1].stem}", *words)]
    (path,), found = words, []
    if path.is_dir():
        for name in sorted({file.stem[:-2] for file in path.glob("*_[abAB].*")}):
            files = [file for x in ("aA", "bB") for file in path.glob(f"{escape(name)}_[{x}].*")]
            found.append((f"{path}, {name}", name, files))
    else:
        for where, name, rest in read_lines(path):
            found.append((where, name, [path.parent / pathname(word) for word in split(rest, where) if word]))
    for where, _, files in found:
        if len(files) != 2:
            raise UserError(f"{where}: must be A and B, found {', '.join(map(str, files))}")
    return [(name, *files) for _, name, files in found]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = LineParser("Write the runs of a sweep into OUT/sweep.jobs and print their number.")
    parser.add_argument("grid", type=pathname, metavar="GRID", help="settings, a line each: see sweeps/example.txt")
    parser.add_argument("out", type=pathname, metavar="OUT", help="the folder of the runs")
    parser.add_argument("pairs", type=pathname, nargs="+", metavar="PAIRS", help="A and B, a folder, or a list")
    options = parser.parse_args(arguments)
    if len(options.pairs) > 2:
        raise UserError(f"PAIRS: two images, a folder or a list, not {len(options.pairs)} names")
    runs, jobs = settings(options.grid), {}
    for pair, a, b in pairs(options.pairs):
        for path in (a, b):
            if not path.exists():
                raise UserError(f"{path}: no such file")
        for where, run, words in runs:
            if f"{pair}/{run}" in jobs:
                raise UserError(f"two runs would be called {pair}/{run}")
            inputs = ["--input_a", str(a.absolute()), "--input_b", str(b.absolute())]
            try:
                parse_train([*words, *inputs, "--out", "out"])
            except UserError as error:
                raise UserError(f"{where}: {error}") from None
            jobs[f"{pair}/{run}"] = shlex.join([*words, *inputs])
    if not jobs:
        raise UserError(f"{options.grid}, {options.pairs[0]}: no runs, or no pairs")
    options.out.mkdir(parents=True, exist_ok=True)
    lines = [f"{name}\t{words}\n" for name, words in jobs.items()]
    (options.out / "sweep.jobs").write_text("".join(lines), encoding="utf-8")
    print(len(jobs))
    return 0
