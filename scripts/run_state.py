"""Print where the run in a folder stands, for scripts/sweep.sh: a word, then the same in words."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils.runs.run_folder import RunFolder
from utils.runs.state import run_state

if __name__ == "__main__":
    state = run_state(RunFolder(Path(sys.argv[1])))
    print(state.kind, state.message)
