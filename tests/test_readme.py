"""The README's commands: each is understood; at length, each runs as it stands there."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT

import config

COMMANDS = [
    line
    for page in ("README.md", "docs/control.md")
    for block in re.findall(r"^```sh\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def test_every_script_has_a_command():
    assert {line.split()[1] for line in COMMANDS} == {"train.py", "eval.py", "refine.py", "finish.py"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    python, script, *words = shlex.split(command)
    assert python == "python"
    if script == "refine.py" and "--load" in words:  # Its options come from a run that is not there yet.
        del words[words.index("--load") : words.index("--load") + 2]
    options = getattr(config, f"parse_{script[:-3]}")(words)
    inputs = [getattr(options, name, None) for name in ("input_a", "input_b")]
    assert all(path is None or path.exists() for path in inputs)


@pytest.mark.slow
def test_every_application_runs_and_leaves_what_it_promises():
    # Unmeasured: the scripts' lines are covered by their own tests, and coverage makes a dozen processes slow.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "check_readme.sh")],
        env={**plain, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("commands ran")
