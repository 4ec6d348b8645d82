"""Running SQL in worker processes that can be killed.

`executor` is the pool that callers use; `process` its end of one worker, `protocol` what the two
say to each other. In the worker `worker` reads jobs, `session` runs a statement under its limits,
and `connections` holds the open databases. `results` is what comes back.
"""
