"""Errors that fastautorec raises beside the built-in TypeError, ValueError and KeyError."""

from __future__ import annotations

__all__ = [
    "BackendUnavailableError",
    "DivergedError",
    "InteractionsFileError",
    "ModelFileError",
    "NotFittedError",
    "RatingsFileError",
]


class NotFittedError(ValueError, AttributeError):
    """A method that needs a fitted model was called before ``fit`` (same bases as scikit-learn's error)."""


class DivergedError(RuntimeError):
    """Training produced a loss or a parameter that is not finite."""


class BackendUnavailableError(RuntimeError):
    """The requested device cannot be used on this machine."""


class InteractionsFileError(ValueError):
    """A folder holds no interactions, is damaged, or was written by a newer version."""


class ModelFileError(ValueError):
    """A file is not a model file, is damaged, or was written by a newer version."""


class RatingsFileError(ValueError):
    """A rating file has a line that cannot be read; the message gives file and line number."""
