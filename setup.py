"""The package, with the launch scripts of experiments/ as `spftsql_jax.commands`, where the console
command finds them. All else stands in pyproject.toml.
"""

from setuptools import find_packages, setup

_SCRIPTS = {
  f"spftsql_jax.commands{part}": f"experiments{part.replace('.', '/')}"
  for part in ("", ".configs", ".configs.pretraining", ".demo", ".slurm", ".tpu")
}

setup(
  packages=[*find_packages(include=["spftsql_jax*"]), *_SCRIPTS],
  package_dir=_SCRIPTS,
)
