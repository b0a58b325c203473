"""What opens, runs and renews the notebooks; the only part of the package that knows Jupyter."""
