"""What is compiled when Weir is installed; all else stands in pyproject.toml."""

from setuptools import Extension, setup

# optional: where there is no compiler the loops in Python do the same (services/analytics/loops.py)
setup(ext_modules=[Extension("services.analytics.quick", ["services/analytics/quick.c"], extra_compile_args=["-O2"],
                             optional=True)])
