"""The command ``fastautorec``: one file for each of its subcommands."""

from fastautorec.cli._main import main

__all__ = ["main"]
