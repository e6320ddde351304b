"""Fitted models in files and on devices: `save`, `to`."""

from __future__ import annotations

import errno
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from fastautorec._checks import check_choice, check_path, warn_caller
from fastautorec._compute import get_backend
from fastautorec._training import archive as _model_file
from fastautorec._training import folder as _folder
from fastautorec._training import tensors as _tensors
from fastautorec.data._sizes import size_of
from fastautorec.models._answers import Answering

if TYPE_CHECKING:
    from typing_extensions import Self

FORMATS = ("npz", "folder", "safetensors")
PICKLES = (".pkl", ".pickle", ".joblib")
SUMS = "sums."  # before the names of sums in files


class Stored(Answering):
    """Models that can be saved, and moved to another device.

    ``_arrays`` has the fitted arrays that a model file keeps, with their types and shapes as words: n items, m users,
    any other letter for what is the same wherever it stands, and "k+" for k or k + 1.
    """

    _arrays: ClassVar[dict[str, str]] = {}

    def __sizeof__(self) -> int:
        """Return the bytes that the model takes with its arrays in host memory, for caches that ask."""
        codes = 0 if self._indexes is None else self._indexes.nbytes
        return object.__sizeof__(self) + size_of(vars(self).values()) + codes

    def save(self, path: str | PathLike[str], format: str = FORMATS[0]) -> None:  # noqa: A002
        """Write the fitted model to ``path``, replacing one there in one step; `fastautorec.load` reads it.

        The permissions of what is there are kept, and a symbolic link is followed.

        Parameters
        ----------
        path : path
        format : {"npz", "folder", "safetensors"}
            One file, or a folder with an .npy file for each array and a JSON header, which ``load(path, mmap=True)``
            maps: then many processes share one copy. A folder is replaced only where it holds a model. Processes that
            have mapped the former one keep it. The third is one file that programs in other languages read; texts, such
            as names of items, are packed in it.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If ``path`` or ``format`` is not usable.
        OSError
            If it cannot be written, or something else is there (FileExistsError for a folder); what was there before is
            left as it was.

        Warns
        -----
        UserWarning
            For a name that ends as those of pickles do, which the file is not.

        Examples
        --------
        >>> import fastautorec as far, tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model"
        >>> packages = far.datasets.load_example()
        >>> far.Popularity().fit(packages).save(path, format="folder")
        >>> sorted(file.name for file in path.iterdir())
        ['header.json', 'item_counts_.npy', 'item_ids_.npy', 'popularity_.npy']
        >>> far.load(path, mmap=True).item_ids_[0] == packages.item_ids[0]
        True
        """
        self._require_fitted()
        check_choice("format", format, FORMATS)
        file = check_path("path", path)
        if format != "folder" and file.is_dir():
            fix = "`path` is a folder; name a file, or pass format='folder'"
            raise IsADirectoryError(errno.EISDIR, fix, str(path))
        if file.suffix in PICKLES:
            warn_caller(
                f"{file.name} is named as a pickle and is none; read it with fastautorec.load, and name it .npz"
            )
        names, backend = self._stored_arrays(), self._backend()
        fitted = {name: value for name, value in vars(self).items() if name.endswith("_") and name not in names}
        fitted["device_"] = backend.host.name  # a file can be read where there is no such device
        sums = {f"{SUMS}{name}": array for name, array in (fitted.pop("sums_") or {}).items()}
        params = fitted.pop("fitted_params_")  # what was fitted: others may have been set since
        header = {"model": type(self).__name__, "params": params, "fitted": fitted}
        with backend.active():
            arrays = {name: getattr(self, name) for name in names} | self._moved(backend.to_host) | sums
        {"npz": _model_file, "folder": _folder, "safetensors": _tensors}[format].write(file, header, arrays)

    if not TYPE_CHECKING:  # where it would make every attribute known

        def __getattr__(self, name: str) -> Any:
            """Return an attribute that a mapped file has; `fastautorec.load` leaves such in ``_mapped``."""
            mapped = vars(self).get("_mapped", {})
            if name in mapped:
                return mapped[name].load()
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def to(self, device: str) -> Self:
        """Move the fitted model to another device and return it.

        Parameters
        ----------
        device : {"auto", "cpu", "cuda", "cuda:1", ...}
            Where ``recommend`` and the others run, and the next ``fit``.

        Returns
        -------
        self
            The model, with its arrays on that device.

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
