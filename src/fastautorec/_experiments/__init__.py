"""Experiments: models × data sets × seeds from a declarative file, cached run by run, and reported."""
