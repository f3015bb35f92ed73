"""Finishing (docs/method.md, section 14): a learned image brought to full size with a reference's own patches.

`finish` in coarse_to_fine.py is the whole of it. No training, no random numbers; always computed on the CPU.
Importing it loads numba and, for a first time on a machine, compiles for some seconds.
"""
