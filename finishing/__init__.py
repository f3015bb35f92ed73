"""Finishing (docs/method.md, section 14): a learned image brought to full size with a reference's own patches.

`Finisher` in full_size.py is the way in. No training, no random numbers; always computed on the CPU.
"""
