"""The README's commands run as they stand there."""

import os
import subprocess
import sys

from conftest import ROOT


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
