"""Finishing (docs/method.md, section 14): a learned image brought to full size with a reference's own patches.

`Finisher` in full_size.py is the way in. No training, no random numbers; always computed on the CPU.

Reading order: full_size (sizes), coarse_to_fine (the loop), references, field, votes; kernels has their inner
loops, canvas what a place is, finished what comes out. motion is for clips.
"""
