"""Named sets of options: what `--preset quick` and a video change of the published defaults."""

# Learned in minutes on a laptop; docs/measurements.md says how each was chosen.
QUICK = {
    "img_size": 64,
    "min_size": 20,
    "scale_factor": 0.5,
    "max_nfc": 32,
    "switch_res": 4,
    "niter": 160,
    "print_interval": 80,
    "lr_g": 0.004,
    "lr_d": 0.001,
    "lr_decay": 0.5,
    "alpha": 10.0,
    "beta": 2.0,
    "lambda_layout": 0.1,
    "real_start": 0.5,
    "penalty_every": 4,
    "rec_noise": "fixed",
    "padding_mode": "reflect",
    "padd_size": 1,
    "finish_size": 512,
}
REFINE_QUICK = {"max_size": 64, "max_nfc": 32, "niter": 100, "print_interval": 50}
# The published defaults where A is a video (docs/method.md, section 12).
VIDEO = {"niter": 24000, "min_size": 22, "lambda_self": 1.0}
