"""Test programs are compiled often and run once: compile fast instead of running fast. Set before
JAX is imported.
"""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
