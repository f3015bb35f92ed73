"""Who may import whom, and how long a file may be."""

import ast
from pathlib import Path

from conftest import ROOT

ROOMS = ["utils", "finishing", "models", "training"]  # each may import itself and those before it
LAYERS = [*ROOMS, "presets", "options", "config", "script"]
SCRIPTS = sorted(path for path in ROOT.glob("*.py") if path.stem not in LAYERS)
PROGRAM = [
    *(ROOT / f"{name}.py" for name in LAYERS[len(ROOMS) : -1]),
    *SCRIPTS,
    *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))),
]
MAX_LINES = 300


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def layer_of(module: str) -> str | None:
    """The layer a dotted module name belongs to; None for what is not the project's."""
    top = module.partition(".")[0]
    if top in {path.stem for path in SCRIPTS} | {"scripts", "benchmarks"}:
        return "script"
    return top if top in LAYERS else None


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


def test_imports_point_down():
    assert {"train.py", "eval.py", "refine.py", "finish.py", "app.py"} == {script.name for script in SCRIPTS}
    wrong = []
    for path in PROGRAM:
        own = layer_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        allowed = {None, *LAYERS[: LAYERS.index(own) + (own in ROOMS)]}
        wrong += [f"{name(path)} imports {module}" for module in imported(path) if layer_of(module) not in allowed]
    assert wrong == []


def test_only_the_option_types_know_argparse():
    assert [name(path) for path in PROGRAM if "argparse" in imported(path)] == ["utils/arguments.py"]


def test_geometry_is_pure_arithmetic():
    assert imported(ROOT / "utils" / "geometry.py") <= {"math", "dataclasses", "functools"}


def test_no_file_is_too_long():
    files = [path for folder in ("scripts", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*PROGRAM, *files]}
    assert {file: length for file, length in lengths.items() if length > MAX_LINES} == {}
