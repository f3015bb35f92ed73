"""The runs of a sweep for scripts/sweep.sh, one a line "pair/name TAB A TAB B TAB flags"."""

import itertools
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("scripts.sweep_jobs")

from config import parse_train
from utils.arguments import LineParser, pathname
from utils.errors import UserError

NAME = re.compile(r"\w[\w.-]*", re.ASCII)
LIST = re.compile(r"\{([^{}]*)\}")
Pair = tuple[str, Path, Path]


def read_lines(path: Path) -> list[tuple[str, str, str]]:
    """Lines "name: rest" of a file, each as where it stands, name, rest; empty lines and comments left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path}: cannot be read as text; save it in UTF-8") from None
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, colon, rest = line.partition(":")
            name, where = name.strip(), f"{path}, line {number}"
            if not colon or not (name == "*" or NAME.fullmatch(name)):
                raise UserError(f"{where}: not 'name: ...'; a name has letters, digits and . _ - only")
            found.append((where, name, rest.strip()))
    return found


def runs_of(where: str, name: str, text: str) -> list[tuple[str, str]]:
    """Name and flags of a run for every combination of the values of the {lists} in a text; UserError names `where`."""
    parts = LIST.split(text)  # flags and lists in turn
    if any(brace in flags for flags in parts[::2] for brace in "{}"):
        raise UserError(f"{where}: an unmatched brace")
    found = []
    for values in itertools.product(*([value.strip() for value in values.split(",")] for values in parts[1::2])):
        parts[1::2] = values
        try:
            parse_train(["--input_a", "A", "--input_b", "B", "--out", "out", *shlex.split("".join(parts))])
        except (UserError, ValueError) as error:
            raise UserError(f"{where}: {error}") from None
        found.append(("_".join([name, *(re.sub(r"[^\w.-]", "-", value) for value in values)]), "".join(parts)))
    return found


def settings(grid: Path) -> dict[str, str]:
    """The flags of every run of a pair, by its name: those of `*` before all others."""
    found: dict[str, str] = {}
    lines = read_lines(grid)
    common = [line for line in lines if line[1] == "*"]
    common_flags = " ".join(rest for _, _, rest in common)
    for where, name, rest in [line for line in lines if line[1] != "*"]:
        try:
            runs = runs_of(where, name, f"{common_flags} {rest}".strip())
        except UserError:
            if common:  # Is it theirs?
                runs_of(common[0][0], "*", common_flags)
            raise
        for run, flags in runs:
            if run in found:
                raise UserError(f"{where}: two runs would be called {run}")
            found[run] = flags
    if not found:
        raise UserError(f"{grid}: contains no runs")
    return found


def pairs(words: Sequence[Path]) -> list[Pair]:
    """Two images; a folder with NAME_A.* and NAME_B.*, or NAME/A.* and NAME/B.*, upper or lower case; or a list."""
    if len(words) == 2:
        return [(f"{words[0].stem}-{words[1].stem}", *words)]
    (path,) = words
    if path.is_file():
        found = []
        for where, name, rest in read_lines(path):
            files = [path.parent / Path(word).expanduser() for word in shlex.split(rest)]
            if len(files) != 2:
                raise UserError(f"{where}: not 'name: A B'; quote names with spaces")
            found.append((name, *files))
        return found
    sides: dict[str, dict[str, Path]] = {}
    for file in sorted([*path.glob("*_[abAB].*"), *path.glob("*/[abAB].*")]):
        stem = file.relative_to(path).with_suffix("").as_posix()
        own = sides.setdefault(stem[:-2], {})
        if stem[-1].lower() in own:
            raise UserError(f"{own[stem[-1].lower()]} and {file.name}: only one of them can be used; remove the other")
        own[stem[-1].lower()] = file
    for own in sides.values():
        if len(own) == 1:
            print(f"note: {next(iter(own.values()))}: left out, its other half is missing", file=sys.stderr)
    return [(name, own["a"], own["b"]) for name, own in sides.items() if len(own) == 2]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = LineParser("Write the runs of a sweep into OUT/sweep.jobs and print their number.")
    parser.add_argument("grid", type=pathname, metavar="GRID", help="settings, a line each: see sweeps/example.txt")
    parser.add_argument("out", type=pathname, metavar="OUT", help="the folder of the runs")
    parser.add_argument("pairs", type=pathname, nargs="+", metavar="PAIRS", help="A and B, a folder, or a list")
    options = parser.parse_args(arguments)
    if len(options.pairs) > 2:
        raise UserError(f"PAIRS: two images, a folder or a list, not {len(options.pairs)} names")
    found = pairs(options.pairs)
    if not found:
        raise UserError(f"{options.pairs[0]}: contains no pairs; see sweeps/pairs.txt for an example")
    runs, lines = settings(options.grid), []
    for name, a, b in found:
        for path in (a, b):
            if not path.exists():
                raise UserError(f"{path}: no such file")
        lines += [f"{name}/{run}\t{a.absolute()}\t{b.absolute()}\t{flags}\n" for run, flags in runs.items()]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "sweep.jobs").write_text("".join(lines), encoding="utf-8")
    print(len(lines))
    return 0
