"""Print where the run in a folder stands, for scripts/sweep.sh: a word, then the same in words."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils.run_folder import RunFolder
from utils.runs.state import run_state

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run of train.py")
    state = run_state(RunFolder(parser.parse_args().run))
    print(state.kind, state.message)
