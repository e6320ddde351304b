"""Experiments: a TOML file in, a folder with a report out."""
