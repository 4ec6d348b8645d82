"""Training a model on batches.

Reading order: `losses` are the equations, `objective` is what a step minimizes, `optimizer` and
`state` are what it changes, `step` is one update, and `trainer` runs many, with `guards` that end a
run, `checkpoints` to resume it and a `meter` of its speed. `memory` tells beforehand what a step
takes of a device, and plans one that fits.
"""
