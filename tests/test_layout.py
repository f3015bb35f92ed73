"""Who may import whom, and how long a file may be."""

import ast
from pathlib import Path

from conftest import ROOT

# A room may import itself, where it is a folder, and those before it.
ROOMS = [
    "utils",
    "utils.pictures",
    "utils.clips",
    "utils.measures",
    "utils.runs",
    "finishing",
    "models",
    "training",
    "evaluation",
]
LAYERS = [*ROOMS, "presets", "options", "config", "script"]
# Rooms side by side, which do not know each other.
APART = {("utils.measures", "utils.clips")}
SCRIPTS = sorted(path for path in ROOT.glob("*.py") if path.stem not in LAYERS)
PROGRAM = [
    ROOT / "presets.py",
    ROOT / "options.py",
    ROOT / "config.py",
    *SCRIPTS,
    *(path for room in ROOMS for path in sorted((ROOT / room.replace(".", "/")).glob("*.py"))),
]
MAX_LINES = 300


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def layer_of(module: str) -> str | None:
    """The layer a dotted module name belongs to; None for what is not the project's."""
    if module.partition(".")[0] in {script.stem for script in SCRIPTS} | {"scripts", "benchmarks"}:
        return "script"
    parents = [module.rsplit(".", n)[0] for n in range(module.count(".") + 1)]
    return next((name for name in parents if name in LAYERS), None)


def imported(path: Path) -> set[str]:
    """Dotted names of all modules a file imports, wherever in the file."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: a relative import"
            modules.add(node.module)
    return modules


def test_the_program_is_all_there():
    assert {"train.py", "eval.py", "refine.py"} <= {script.name for script in SCRIPTS}
    assert all((ROOT / room.replace(".", "/")).is_dir() for room in ROOMS)
    assert layer_of("utils.image") == "utils.pictures"
    assert layer_of("utils.files") == "utils"
    assert layer_of("scripts.growth") == "script"
    assert layer_of("torch.utils") is None


def test_imports_point_down():
    wrong = []
    for path in PROGRAM:
        own = layer_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        layers = {layer_of(module) for module in imported(path)} - {None}
        allowed = set(LAYERS[: LAYERS.index(own) + (own in ROOMS)]) - {other for room, other in APART if room == own}
        wrong += [f"{name(path)}, of {own}, imports {layer}" for layer in layers - allowed]
    assert wrong == []


def test_only_the_option_types_know_argparse():
    assert [path.name for path in PROGRAM if "argparse" in imported(path)] == ["arguments.py"]


def test_geometry_is_pure_arithmetic():
    assert imported(ROOT / "utils" / "scales.py") <= {"math", "dataclasses", "functools"}


def test_no_file_is_too_long():
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name not in {"tests", "images"}]
    files = [path for folder in folders if folder.name[0] != "." for path in folder.rglob("*.py")]
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*PROGRAM, *files]}
    assert {file: length for file, length in lengths.items() if length > MAX_LINES} == {}
