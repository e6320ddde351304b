"""The result of an evaluation: metrics with 95 % half-widths and per-user values, in a mapping that prints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import RANK_METRICS, check_choice, check_cutoffs, check_int
from fastautorec._compute import get_backend
from fastautorec._compute.inputs import UserItems, check_user_items
from fastautorec._compute.protocol import DEFINITIONS, IdArray
from fastautorec._extras import require
from fastautorec._printed import Printed, Rows
from fastautorec._types import DataFrame
from fastautorec.evaluation._distance import mean_distances
from fastautorec.evaluation._further import FURTHER, gini
from fastautorec.evaluation._metric import Metric, half_width, shown
from fastautorec.evaluation._ranks import MAX_HEAD, Ranks, counted_places, metrics_from_ranks
from fastautorec.evaluation._tables import interval

if TYPE_CHECKING:
    from fastautorec.evaluation._receipt import Receipt

HEAD = 10  # popularity and coverage are those of the first ten recommendations
BLOCK_USERS = 1 << 16  # whose lists are looked up at once


class Report(Printed, Mapping[str, Metric]):
    """Result of ``evaluate`` or ``evaluate_ranking``: a mapping from metric names to ``Metric``.

    The keys are R-Precision, NDCG, then MAP@K, Precision@K, Recall@K and F1@K for each K of ``k``; with "standard"
    also NDCG@K, and NDCG is the one of the largest K. ``metric`` gives further ones by name, such as "MRR@10".

    Attributes
    ----------
    definition : str
    k : tuple of int
    users : ndarray (n_users,), int64
        Row numbers of the evaluated users, ascending.
    n_test_items : ndarray (n_users,), int64
        Number of test items of each of them.
    n_users, n_rows : int
        Number of evaluated users and of all rows.
    n_without_train, n_without_test : int
        Users left out: without training items, and with training items but without test items.
    popularity : Metric
        Mean training popularity (number of users) of a user's first ten recommendations, or of the first max(k) where
        that is less; NaN for a user with an empty list, whom the mean leaves out.
    coverage, gini : float
        Share of all items that are among those recommendations of at least one user, and the Gini coefficient of how
        often each item is among them.
    notes : tuple of str
        What to know before trusting the figures; empty if there is nothing.
    ranks : Ranks
        The place of each test item in its user's list.
    heads : ndarray (n_users, min(max(k), 100)), int32
        The first recommendations of each user; -1 is an empty place.
    item_popularity : ndarray (n_items,), int64
        Number of users of each item in the training data.
    history_lengths : ndarray (n_users,), int64
        Number of training items of each user.
    receipt : Receipt or None
        For re-ranked lists: what re-ranking has cost and given.
    """

    def __init__(
        self,
        values: Mapping[str, npt.NDArray[np.float64]],
        ranks: Ranks,
        heads: IdArray,
        *,
        definition: str,
        k: tuple[int, ...],
        users: npt.NDArray[np.int64],
        item_popularity: npt.NDArray[np.int64],
        history_lengths: npt.NDArray[np.int64],
        n_rows: int,
        n_without_train: int,
        notes: Sequence[str] = (),
        row_ids: npt.NDArray[Any] | None = None,
    ) -> None:
        self.definition = definition
        self.k = k
        self.users = users
        self.n_test_items = ranks.n_test_items
        self.n_users = len(users)
        self.n_rows = n_rows
        self.n_without_train = n_without_train
        self.n_without_test = n_rows - n_without_train - len(users)
        self.ranks, self.heads = ranks, heads
        self.item_popularity, self.history_lengths = item_popularity, history_lengths
        for array in (ranks.indptr, ranks.items, ranks.ranks, ranks.lengths, heads, item_popularity, history_lengths):
            array.flags.writeable = False
        self.receipt: Receipt | None = None
        self._row_ids = row_ids  # ids of all users; None where they have none
        self._notes = tuple(notes)
        self.notes = (*self._notes, *self._notes_on_length())
        self._metrics = {name: self._summarise(name, per_user) for name, per_user in values.items()}
        head = min(HEAD, k[-1])
        self.popularity = self.popularity_at(head)
        listed = self.times_listed(head)
        self.coverage, self.gini = float((listed > 0).mean()), gini(listed)

    def at(self, k: int | Sequence[int] | None = None, definition: str | None = None) -> Report:
        """Return the report for other list lengths or the other definition, from the ranks: nothing is scored again.

        Parameters
        ----------
        k : int or sequence of int, optional
            At most the largest one of this report; the same by default.
        definition : {"standard", "paper"}, optional
            The same by default.

        Returns
        -------
        Report
            What an evaluation with these options would have returned.

        Raises
        ------
        TypeError, ValueError
            If the lists were not kept as long as asked for: ``k`` above the largest one, or "standard" from a "paper"
            report of users with more test items than the largest ``k``.

        Examples
        --------
        >>> import fastautorec as far
        >>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
        >>> model = far.Popularity().fit(train)
        >>> report = far.evaluate(model, train, test, k=50)
        >>> report.at(k=20)["Recall@20"].mean == far.evaluate(model, train, test, k=20)["Recall@20"].mean
        True
        """
        cutoffs = self.k if k is None else check_cutoffs(k)
        if definition is None:
            definition = self.definition
        check_choice("definition", definition, DEFINITIONS)
        if cutoffs[-1] > self.k[-1]:
            raise ValueError(
                f"`k` must be at most {self.k[-1]}, the length of the lists that this report has kept, got "
                f"{cutoffs[-1]}; evaluate with the largest k that you need"
            )
        lengths = counted_places(self.n_test_items, cutoffs, definition)
        if definition != self.definition == "paper" and lengths.max() > self.k[-1]:
            raise ValueError(
                f"`definition`='standard' needs lists of {lengths.max()} for R-Precision, as many as a user has test "
                f"items, but this \"paper\" report has kept {self.k[-1]}; evaluate with definition='standard'"
            )
        ranks = self.ranks.cut(lengths)
        return Report(
            metrics_from_ranks(ranks, cutoffs, definition),
            ranks,
            self.heads[:, : cutoffs[-1]],
            definition=definition,
            k=cutoffs,
            users=self.users,
            item_popularity=self.item_popularity,
            history_lengths=self.history_lengths,
            n_rows=self.n_rows,
            n_without_train=self.n_without_train,
            notes=self._notes,
            row_ids=self._row_ids,
        )

    def first_places(self, k: int) -> IdArray:
        """Return the first k recommendations of each user, int32 (n_users, k), -1 for an empty place.

        Raises
        ------
        TypeError, ValueError
            If ``k`` is no integer from 1 to the length of ``heads``.
        """
        length, kept = check_int("k", k, 1), self.heads.shape[1]
        if length > kept:
            raise ValueError(
                f"`k` must be at most {kept}, the length of the lists that the report has kept, got {length}; "
                f"evaluate with the largest k that you need, of which up to {MAX_HEAD} places are kept"
            )
        return self.heads[:, :length]

    def metric(self, metric: str) -> Metric:
        """Return a metric by name: one of the mapping, or a further one, from the ranks and lists that are kept.

        Parameters
        ----------
        metric : str
            A key of the mapping; or "MRR@K", "HitRate@K" or "AUC@K" with K at most the largest ``k``, "Novelty@K" or
            "Popularity@K" with K at most 100 too. The table at the top of ``fastautorec.evaluation`` defines them.

        Returns
        -------
        Metric
            Its mean, half-width and the values of the users.

        Raises
        ------
        ValueError
            If there is no such metric, or lists were not kept as long.

        Examples
        --------
        >>> import fastautorec as far
        >>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
        >>> report = far.evaluate(far.Popularity().fit(train), train, test, k=50)
        >>> report.metric("HitRate@10").mean >= report.metric("MRR@10").mean > 0
        True
        """
        if metric in self._metrics:
            return self._metrics[metric]
        family, _, cutoff = str(metric).partition("@")
        if family not in FURTHER or not (cutoff.isascii() and cutoff.isdigit() and int(cutoff)):
            known = ", ".join([*self, *(f"{one}@K" for one in FURTHER)])
            raise ValueError(f"`metric` must be one of {known}, got {metric!r}")
        k = int(cutoff)
        if family in RANK_METRICS and k > self.k[-1]:
            raise ValueError(
                f"`metric` must have a list length of at most {self.k[-1]}, which this report has kept, got "
                f"{metric!r}; evaluate with the largest k that you need"
            )
        return self._summarise(f"{family}@{k}", FURTHER[family](self, k))

    def popularity_at(self, k: int) -> Metric:
        """Return the mean training popularity of a user's first k recommendations, NaN for an empty list."""
        return self.metric(f"Popularity@{check_int('k', k, 1)}")

    def intra_list_distance(self, train: UserItems, k: int = HEAD) -> Metric:
        """Return how different the first k recommendations of a user are: the mean distance of two of them.

        The distance of items i and j is ``1 − |Uᵢ ∩ Uⱼ| / √(|Uᵢ| |Uⱼ|)``, one minus the cosine of their columns of the
        training data, where U are the users of an item; 1 where an item has none. It depends on no model, so it means
        the same for all. Nothing is scored again, but the training data have to be passed, because a report does not
        keep them.

        Parameters
        ----------
        train : Interactions or scipy sparse (m, n), binary
            Those of the evaluation.
        k : int
            Length of the lists, at most the largest ``k`` and 100.

        Returns
        -------
        Metric
            "ILD@k"; NaN for a list of fewer than two items, which the mean leaves out.

        Raises
        ------
        TypeError, ValueError
            If ``train`` is not the training data of the report, or lists were not kept as long.

        References
        ----------
        .. [1] C.-N. Ziegler, S. M. McNee, J. A. Konstan and G. Lausen, "Improving recommendation lists through topic
           diversification", WWW 2005. Their intra-list similarity is a sum; this is a mean, and of distances.

        Examples
        --------
        >>> import fastautorec as far
        >>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
        >>> report = far.evaluate(far.PureSVD(16).fit(train), train, test, k=10)
        >>> 0 < report.intra_list_distance(train).mean < 1
        True
        """
        seen = check_user_items("train", train)
        if not np.array_equal(get_backend("cpu").count_items(seen), self.item_popularity):
            raise ValueError(
                "`train` must be the training data of the report, got data whose items have other numbers of users; "
                "pass what was passed to evaluate"
            )
        return self._summarise(f"ILD@{k}", mean_distances(self.first_places(k), seen))

    def mean_of_items(self, values: npt.NDArray[Any], k: int) -> npt.NDArray[np.float64]:
        """Return the mean of a value that each item has over a user's first k recommendations, NaN if there are none.

        Parameters
        ----------
        values : array (n_items,)
            For example prices, ages, or 1 for the items of a genre and 0 for others.
        k : int
            Length of the lists, at most the largest ``k`` and 100.

        Returns
        -------
        ndarray (n_users,), float64
            The mean of each user's list.
        """
        heads = self.first_places(k)
        if np.shape(values) != self.item_popularity.shape:
            raise ValueError(
                f"`values` must have one value for each of the {len(self.item_popularity)} items, got shape "
                f"{np.shape(values)}"
            )
        with_empty = np.append(values, 0)  # -1 is its last cell
        mean = np.empty(len(heads))
        for users in _blocks(len(heads)):
            with np.errstate(invalid="ignore"):  # 0 / 0
                mean[users] = with_empty[heads[users]].sum(axis=1) / (heads[users] >= 0).sum(axis=1)
        return mean

    def times_listed(self, k: int) -> npt.NDArray[np.int64]:
        """Return how many of the first k places of all lists hold each item, int64 (n_items,)."""
        heads, counts = self.first_places(k), np.zeros(len(self.item_popularity) + 1, np.int64)
        for users in _blocks(len(heads)):
            counts += np.bincount(heads[users].ravel() + 1, minlength=len(counts))
        return counts[1:]

    def _notes_on_length(self) -> list[str]:
        """Tell where lists were too short for R-Precision: only ready-made ones are."""
        short = self.n_test_items > self.ranks.lengths
        if self.definition == "paper" or not short.any():
            return []
        return [
            f"R-Precision is a lower bound: {short.sum():,} users have more test items than the "
            f"{self.ranks.lengths[short][0]} places of a list"
        ]

    def _summarise(self, name: str, per_user: npt.NDArray[np.float64]) -> Metric:
        per_user.flags.writeable = False
        missing = np.isnan(per_user)
        known = per_user[~missing] if missing.any() else per_user
        # the "paper" divides by all rows of the matrix, users without test items too
        half = half_width(known, 0, self.n_rows) if self.definition == "paper" else half_width(known)
        return Metric(name, per_user, float(known.mean()) if len(known) else math.nan, half)

    def __getitem__(self, name: str) -> Metric:
        try:
            return self._metrics[name]
        except KeyError:
            raise KeyError(f"{name!r} was not measured; the report has {', '.join(self._metrics)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __repr__(self) -> str:
        return f"<Report {self.definition!r}, {self.n_users} users, NDCG {shown(self['NDCG'])}>"

    def _parts(self) -> list[str | Rows]:
        left_out = f"{self.n_without_train:,} without training items, {self.n_without_test:,} without test items"
        title = f'{self.n_users:,} users evaluated, "{self.definition}" definition; left out: {left_out}'
        families = dict.fromkeys(name.partition("@")[0] for name in self if "@" in name)
        rows = [["", *(f"@{k}" for k in self.k)]]
        rows += [
            [family, *(shown(self.metric(f"{family}@{k}")) for k in self.k)] for family in [*families, *RANK_METRICS]
        ]
        rows += [[name, shown(self[name])] for name in self if "@" not in name and name not in families]
        popularity, place = self.popularity, self.popularity.name.partition("@")[2]
        rows.append([popularity.name, interval(popularity.mean, popularity.half_width, 1)])
        novelty = self.metric(f"Novelty@{place}")
        rows.append([novelty.name, interval(novelty.mean, novelty.half_width, 2)])
        rows += [[f"Coverage@{place}", f"{self.coverage:.4f}"], [f"Gini@{place}", f"{self.gini:.4f}"]]
        receipt = [] if self.receipt is None else ["", *self.receipt._parts()]
        return [title, rows, *(f"Note: {note}." for note in self.notes), *receipt]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain Python values, without the per-user arrays; ready for JSON."""

        def figures(metric: Metric) -> dict[str, float]:
            return {"mean": metric.mean, "half_width": metric.half_width}

        return {
            "definition": self.definition,
            "k": list(self.k),
            "n_users": self.n_users,
            "n_rows": self.n_rows,
            "n_without_train": self.n_without_train,
            "n_without_test": self.n_without_test,
            "metrics": {name: figures(metric) for name, metric in self.items()},
            "popularity": {"name": self.popularity.name, **figures(self.popularity)},
            "coverage": self.coverage,
            "gini": self.gini,
            "notes": list(self.notes),
        }

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame: one row for each metric, columns ``mean`` and ``half_width``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = require("pandas", "to_frame", instead="`to_dict`")
        return pandas.DataFrame.from_dict(self.to_dict()["metrics"], orient="index").rename_axis("metric")


def _blocks(users: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK_USERS) for start in range(0, users, BLOCK_USERS))
