"""Named sets of options: what `--preset` and a clip change of the published defaults."""

from typing import Any

Preset = dict[str, Any]  # values by the names of the options

# Learned in minutes on a laptop; docs/measurements.md says how each was chosen.
QUICK: Preset = {
    "img_size": 64,
    "min_size": 32,
    "scale_factor": 0.5,
    "max_nfc": 32,
    "switch_res": 3,
    "niter": 180,
    "print_interval": 90,
    "lr_g": 0.004,
    "lr_d": 0.001,
    "lr_decay": 0.5,
    "alpha": 10.0,
    "beta": 2.0,
    "lambda_layout": 0.1,
    "real_start": 0.5,
    "rec_noise": "fixed",
    "padding_mode": "reflect",
    "padd_size": 1,
    "finish_size": 512,
}
PRESETS: dict[str, Preset] = {"paper": {}, "quick": QUICK}

REFINE_QUICK: Preset = {"max_size": 64, "max_nfc": 32, "niter": 100, "print_interval": 50}
REFINE_PRESETS: dict[str, Preset] = {"paper": {}, "quick": REFINE_QUICK}

# The published defaults where A is a clip (docs/method.md, section 12).
CLIP: Preset = {"niter": 24000, "min_size": 22, "lambda_self": 1.0}
