"""The method: a run from labelled or unlabelled databases to a model.

`run` shows it on one screen, a line for each file of `stages`. What the stages hand on are the
records of `records`; the `journal` keeps them, so that a killed run goes on. The `model_base` holds
every version with where it came from and how it scored. `workbench` names the tools that stages
share: databases, units to train on, answering and judging, fine-tuning. What a run does not find in
its config it chooses once: `recipes` by the starting model, `lengths` by data and tokenizer, and
`planning` by the memory that is there.
"""
