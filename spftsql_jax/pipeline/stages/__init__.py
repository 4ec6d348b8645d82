"""The stages of a run, in order: a file each.

`splits` and `templates` keep apart what is trained on and what is asked; `sft` starts; `vbi_ft` is
stage 1 with `synthesis`, `question_writer` and `consistency`; `self_play` is stage 2 with `play`;
`baselines` are what it is compared with, and `evaluation` is the held-out test.
"""
