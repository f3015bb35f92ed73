# `make demo` and `make test` set up all they need by themselves; PYTHON chooses the interpreter (3.10 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-all clean

demo: $(VENV)/.installed
	$(BIN)/python train.py --input_a images/autumn_ridge.jpg --input_b images/alpine_path.jpg \
		--preset quick --keep_aspect --finish_size 1024 --seed 2 --out output_demo --overwrite

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --cov --cov-report=term --cov-fail-under=90

# At length, too: long fuzzing, every command of the README, kills at random moments, Slurm where it is there.
test-all: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto -m "slow or not slow"
	tests/slurm.sh || test $$? -eq 77

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-app.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) output_demo
