"""Long checks, by hand: kill and resume many times; memory over many steps.

python tests/soak.py --rounds 50        # prints `50 kills, 50 resumes, 0 differences`
python tests/soak.py --memory           # resident memory early and late in 2000 steps
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ["OMP_NUM_THREADS"] = "1"
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from conftest import TINY, make_picture  # noqa: E402
from folders import weights  # noqa: E402

from utils.run_folder import LOCK  # noqa: E402

FLAGS = [*TINY, "--scale_factor", "0.55", "--print_interval", "7", "--save_every", "0"]


def command(*words: object) -> list[str]:
    """train.py with these words."""
    return [sys.executable, str(ROOT / "train.py"), *map(str, words)]


def differences(one: Path, other: Path) -> int:
    """How many weights differ."""
    mine, theirs = weights(one), weights(other)
    names = mine.keys() | theirs.keys()
    return sum(name not in mine or name not in theirs or not torch.equal(mine[name], theirs[name]) for name in names)


def soak(folder: Path, pair: list, rounds: int, seed: int) -> int:
    """Kill a run after a random time again and again, resuming it in between; whether all ended alike.

    A run that ends is compared with the uninterrupted one, and a new one started until the kills are done.
    """
    moments = random.Random(seed)
    begin = [*pair, *FLAGS, "--niter", 60]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command(*begin, "--out", folder / "whole"), check=True, **quiet)
    kills = resumes = different = runs = 0
    while kills < rounds:
        run = folder / f"run{runs}"
        runs += 1
        finished = False
        while not finished:
            resuming = (run / "config.json").exists()
            words = ["--load", run, "--gpu_id", -1] if resuming else [*begin, "--out", run]
            process = subprocess.Popen(command(*words), **quiet)
            if kills < rounds:
                # The clock runs from when the process holds the folder: loading PyTorch does not count.
                while process.poll() is None and not holds(process.pid, run):
                    time.sleep(0.002)
                time.sleep(moments.uniform(0, 1.0))
                process.kill()
            finished = process.wait() == 0
            kills += process.returncode == -9
            resumes += resuming
            if process.returncode not in {0, -9}:
                print(f"a resume ended with status {process.returncode}")
                return 1
        different += differences(folder / "whole", run)
    print(f"{kills} kills, {resumes} resumes, {different} differences")
    return int(different > 0)


def holds(process: int, run: Path) -> bool:
    """Whether a process has the folder's lock file open."""
    try:
        return any(file.resolve() == (run / LOCK).resolve() for file in Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        return False


def memory(folder: Path, pair: list) -> int:
    """Resident memory of a run at 200 and at 2000 steps of one scale, MB."""
    words = [*pair, *TINY, "--niter", 2000, "--print_interval", 100, "--save_every", 1, "--out", folder / "run"]
    process = subprocess.Popen(command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = {}
    for step in (200, 2000):
        while process.poll() is None and not (folder / "run" / "samples" / f"00_step{step:05d}_b2a.png").exists():
            time.sleep(0.01)
        status = Path(f"/proc/{process.pid}/status").read_text()
        found[step] = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    process.kill()
    process.wait()
    growth = found[2000] - found[200]
    print(f"resident memory: {found[200]:.0f} MB at step 200, {found[2000]:.0f} MB at step 2000")
    return int(growth > 10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50, help="kills")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--memory", action="store_true", help="memory instead of kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pair = ["--input_a", make_picture(folder / "a.png", 1), "--input_b", make_picture(folder / "b.png", 2)]
        return memory(folder, pair) if options.memory else soak(folder, pair, options.rounds, options.seed)


if __name__ == "__main__":
    sys.exit(main())
