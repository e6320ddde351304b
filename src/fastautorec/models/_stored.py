"""Fitted models in files and on devices: `save`, `to`."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from fastautorec._compute import get_backend
from fastautorec._training import archive as _model_file
from fastautorec.data._sizes import size_of
from fastautorec.models._answers import Answering

if TYPE_CHECKING:
    from typing_extensions import Self


class Stored(Answering):
    """Models that can be saved, and moved to another device.

    ``_arrays`` has the fitted arrays that a model file keeps, with their types and shapes as words: n items, m users,
    any other letter for what is the same wherever it stands, and "k+" for k or k + 1.
    """

    _arrays: ClassVar[dict[str, str]] = {}

    def __sizeof__(self) -> int:
        """Return the bytes that the model takes with its arrays in host memory, for caches that ask."""
        return object.__sizeof__(self) + size_of(vars(self).values())

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted model to ``path``, replacing a file there in one step; `fastautorec.load` reads it.

        The permissions of a file that is there are kept, and a symbolic link is followed.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        OSError
            If the file cannot be written, or is no regular file; what was there before is left as it was.
        """
        self._require_fitted()
        names, backend = self._stored_arrays(), self._backend()
        fitted = {name: value for name, value in vars(self).items() if name.endswith("_") and name not in names}
        fitted["device_"] = backend.host.name  # a file can be read where there is no such device
        params = fitted.pop("fitted_params_")  # the fitted ones: others may have been set since
        header = {"model": type(self).__name__, "params": params, "fitted": fitted}
        with backend.active():
            arrays = {name: getattr(self, name) for name in names} | self._moved(backend.to_host)
        _model_file.write(Path(path), header, arrays)

    def to(self, device: str) -> Self:
        """Move the fitted model to another device and return it.

        Parameters
        ----------
        device : {"auto", "cpu", "cuda", "cuda:1", ...}
            Where ``recommend`` and the others run, and the next ``fit``.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            Before ``fit``.
        BackendUnavailableError
            If the device cannot be used.

        Examples
        --------
        >>> import fastautorec as far
        >>> model = far.Popularity().fit(far.datasets.load_example()).to("cpu")
        >>> model.device_
        'cpu'
        """
        self._require_fitted()
        old, new = self._backend(), get_backend(device, self.num_threads)
        with old.active():
            on_host = self._moved(old.to_host)
        with new.active():
            arrays = {name: None if array is None else new.to_device(array) for name, array in on_host.items()}
        params = self.fitted_params_ | {"device": device}
        self.__dict__.update(arrays, device=device, device_=new.name, fitted_params_=params)
        return self

    def _moved(self, move: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> dict[str, Any]:
        """Return the fitted arrays that live on the device, moved."""
        named = {name: getattr(self, name) for name in self._arrays}
        return {name: None if array is None else move(array) for name, array in named.items()}

    @classmethod
    def _stored_arrays(cls) -> tuple[str, ...]:
        return (*cls._arrays, "item_ids_", "item_counts_")
