"""The part of `Interactions` that is on disk: folders written and opened, and walks through blocks of users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_bool, check_int
from fastautorec._compute.csr import BLOCK_ENTRIES, Csr, row_blocks
from fastautorec._compute.inputs import UserItems, check_user_items
from fastautorec.data import _naming as naming
from fastautorec.data import _store as store
from fastautorec.data._identity import ITEMS, USERS, in_order_of, own_ids
from fastautorec.data._numbered import Numbered
from fastautorec.data._repeats import Repeats, joined
from fastautorec.data._store_writer import Writer
from fastautorec.data._times import evident, other_unit

if TYPE_CHECKING:
    from typing_extensions import Self


# matrix, rows, times and weights of some users
Part = tuple[Csr, slice, "npt.NDArray[Any] | None", "npt.NDArray[np.float32] | None"]


class OnDisk(Numbered):
    """Base of `Interactions`: folders on disk, and what is mapped from them."""

    _csr: Csr | None = None  # interactions on disk have one, which is not checked again

    def to_disk(self, path: str | PathLike[str], overwrite: bool = False) -> None:
        """Write a folder that `open` reads, for data that need not be in memory all at once.

        It holds one .npy file for each array and a header with checksums, and appears in one step, also in the place of
        another folder: those who open it meanwhile get the former or the new one, and those who have it open keep the
        former.

        Parameters
        ----------
        path : str or path
            The folder. A symbolic link stays, and what it leads to is replaced.
        overwrite : bool
            Replace a folder of interactions there, be it damaged; its permissions stay.

        Raises
        ------
        FileExistsError
            If there is something at ``path`` that may not be replaced: no folder, one that holds anything else than
            interactions, or the current folder.
        OSError
            If the folder cannot be written, on a full disk, say. Nothing of it is left then; what a killed process has
            left beside is removed by the next write of this name.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> with TemporaryDirectory() as folder:
        ...     packages.to_disk(folder + "/packages")
        ...     model = far.NCEAutoRec(factors=16).fit(far.Interactions.open(folder + "/packages"))
        """
        with Writer(Path(path), check_bool("overwrite", overwrite)) as writer:
            writer.append_ids("user_ids", self.user_ids[:0])
            for csr, rows, times, weights in self._parts(None):
                writer.append(csr, self.user_ids[rows], times, weights)
            writer.finish(self.item_ids, self._ids_given, self._repeats)

    @classmethod
    def write(cls, path: str | PathLike[str], blocks: Iterable[UserItems], overwrite: bool = False) -> Self:
        """Write a folder from blocks of users, one at a time in memory, and open it.

        Parameters
        ----------
        path : str or path
            The folder.
        blocks : iterable of Interactions or scipy sparse (q, n)
            All with the same items, which take the order of the first block. Rows of SciPy matrices are numbered as
            their users' ids; ids of Interactions must be distinct over all blocks. Either all of them have timestamps
            or none, and likewise weights.
        overwrite : bool
            Replace a folder of interactions there.

        Returns
        -------
        Interactions
            As `open` returns them.

        Raises
        ------
        FileExistsError
            If there is something at ``path`` that may not be replaced: no folder, one that holds anything else than
            interactions, or the current folder.
        TypeError, ValueError
            If a block is not usable or does not fit the first one.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> import fastautorec as far
        >>> blocks = (far.datasets.synthetic(1000, 50, 9000, random_state=seed) for seed in range(3))
        >>> with TemporaryDirectory() as folder:
        ...     data = far.Interactions.write(folder + "/data", blocks)
        >>> data
        Interactions(3,000 users, 50 items, 27,000 interactions, density 18 %)

        The training part of data on disk, on disk:

        >>> with TemporaryDirectory() as folder:
        ...     data = far.Interactions.write(folder + "/data", [far.datasets.load_example()])
        ...     parts = (far.split(block, (0.8, 0.2), by="random")[0] for block in data.blocks(5000))
        ...     train = far.Interactions.write(folder + "/train", parts)
        >>> train.shape == data.shape
        True
        """
        path = Path(path).absolute()  # blocks may change the current folder
        with Writer(path, check_bool("overwrite", overwrite)) as writer:
            first: tuple[npt.NDArray[Any] | None, int] | None = None
            has: dict[str, bool] = {}
            marks: list[Repeats | None] = []
            users_given, moment = False, None
            for number, given in enumerate(blocks):
                block = given if first is None else in_order_of(given, first[0])
                csr = check_user_items(f"blocks[{number}]", block)
                marks.append(getattr(block, "_repeats", None))
                item_ids, times = own_ids(block, ITEMS), getattr(block, "timestamps", None)
                weights = getattr(block, "weights", None)
                users_given |= own_ids(block, USERS) is not None
                if first is None:
                    first, has = (
                        (item_ids, csr.n_cols),
                        {"timestamps": times is not None, "weights": weights is not None},
                    )
                if csr.n_cols != first[1] or not naming.same_ids(item_ids, first[0]):
                    raise ValueError(
                        f"`blocks` must all have the items of the first one, but those of block {number} differ; bring "
                        "it to them with block.with_items(item_ids)"
                    )
                for name, values in (("timestamps", times), ("weights", weights)):
                    if (values is not None) != has[name]:
                        raise ValueError(f"`blocks` must all have {name} or none, but block {number} differs")
                found = evident(times)
                if unlike := other_unit(found, moment):
                    raise ValueError(
                        f"`blocks` must have times of one unit, got {unlike}, in block {number}; bring all to one unit"
                    )
                moment = found if moment is None else moment
                writer.append(csr, getattr(block, "user_ids", None), times, weights)
            if first is None:
                raise ValueError("`blocks` must hold at least one block of users, got none")
            items_given = first[0] is not None
            item_ids = np.arange(first[1]) if first[0] is None else first[0]
            writer.finish(item_ids, (users_given, items_given), joined(marks))
        return cls.open(path)

    @classmethod
    def open(cls, path: str | PathLike[str], verify: bool = False) -> Self:
        """Open a folder that `to_disk` or `write` has written; what is not looked at stays on disk.

        ``fit`` of the closed-form models, ``evaluate`` and ``recommend`` read it in blocks of users, and the result has
        the same bits as that of interactions in memory.

        Parameters
        ----------
        path : str or path
            The folder. While it is open, it may be replaced as a whole by another `to_disk`, but its files must not
            change: one that is cut is noticed when it is next asked for, and ends the process while it is read.
        verify : bool
            Read everything once and compare it with the checksums. Otherwise header and sizes are checked, and items
            and row pointers when they are first asked for.

        Returns
        -------
        Interactions
            Its ``user_items``, ``user_ids``, ``timestamps`` and ``weights`` are mapped from the files, read-only. Whole
            rows such as ``user_items[:1000]`` are cheap; other operations of SciPy make copies in memory.

        Raises
        ------
        FileNotFoundError
            If there is nothing at ``path``. Where a writer was killed while it replaced the folder, on a file system
            that cannot exchange two of them, the message names the complete versions beside it.
        OSError
            If it cannot be opened or read for now.
        InteractionsFileError
            If it holds no interactions, is damaged, or was written by a newer version.
        """
        stored = store.read(Path(path), check_bool("verify", verify))
        ids, beside = (stored.user_ids.load, stored.item_ids), (stored.timestamps, stored.weights)
        return cls._mapped(stored.matrix, *ids, *beside, stored.ids_given, stored.repeats)

    def blocks(self, users: int = 100_000) -> Iterator[Self]:
        """Yield consecutive blocks of users, which share memory with the whole.

        Parameters
        ----------
        users : int
            In a block; the last one may have fewer.

        Examples
        --------
        >>> import fastautorec as far
        >>> [block.shape for block in far.datasets.load_example().blocks(10_000)]
        [(10000, 5460), (7330, 5460)]
        """
        yield from map(self._block, self._parts(check_int("users", users, 1)))

    def _users_between(self, start: int, stop: int) -> Self:
        """Return the users in rows start..stop, who share memory with the whole."""
        return self._block(self._part(check_user_items("user_items", self), start, stop))

    def _block(self, part: Part) -> Self:
        csr, rows, times, weights = part
        ids = partial(self._ids_of, rows)
        return self._mapped(csr.rebased(), ids, self.item_ids, times, weights, self._ids_given, self._repeats)

    def _ids_of(self, rows: slice) -> npt.NDArray[Any]:
        ids: npt.NDArray[Any] = self.user_ids[rows]
        return ids

    def _parts(self, users: int | None) -> Iterator[Part]:
        """Yield matrix, rows, times and weights of blocks of so many users, or of those that suit the work."""
        csr = check_user_items("user_items", self)
        m = csr.shape[0]
        borders = (
            row_blocks(csr.indptr, BLOCK_ENTRIES)
            if users is None
            else ((start, min(start + users, m)) for start in range(0, m, users))
        )
        for start, stop in borders:
            yield self._part(csr, start, stop)

    def _part(self, csr: Csr, start: int, stop: int) -> Part:
        entries = slice(csr.indptr[start], csr.indptr[stop])
        times = None if self.timestamps is None else self.timestamps[entries]
        weights = None if self.weights is None else self.weights[entries]
        return csr.rows(start, stop), slice(start, stop), times, weights

    @classmethod
    def _mapped(
        cls,
        csr: Csr,
        user_ids: npt.NDArray[Any] | Callable[[], npt.NDArray[Any]],
        item_ids: npt.NDArray[Any],
        timestamps: npt.NDArray[Any] | None,
        weights: npt.NDArray[np.float32] | None,
        ids_given: tuple[bool, bool],
        repeats: Repeats | None,
    ) -> Self:
        """Build around a checked matrix that is not copied; user ids that are to be loaded are so when asked for."""
        self = cls.__new__(cls)
        self._csr, self.timestamps, self.weights = csr, timestamps, weights
        self._ids_given, self._repeats = ids_given, repeats
        self.item_ids = naming.locked(item_ids)
        if callable(user_ids):
            self._load_user_ids = user_ids
        else:
            self.user_ids = naming.locked(user_ids)
        return self
