"""What re-ranking has cost and given: the same users with re-ranked and with plain lists."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastautorec._compute.csr import Csr
from fastautorec._printed import Printed, Rows
from fastautorec.evaluation._compare import Comparison, holm, paired_difference
from fastautorec.evaluation._report import HEAD, Report
from fastautorec.rerank import Reranker

NAMES = ("re-ranked", "plain")


@dataclass(frozen=True, eq=False, repr=False)
class Receipt(Printed):
    """Re-ranked lists against the plain ones of the same model; `evaluate` makes it. It prints as a table.

    Attributes
    ----------
    rerankers : tuple of str
        In the order in which they worked.
    n_candidates : int
        How many of the best items of each user they had.
    plain : Report
        Of the plain lists, as `evaluate` gives it without re-ranking.
    comparison : Comparison
        NDCG and intra-list distance, re-ranked minus plain, paired over the users, with Holm's correction for the two;
        its ``popularity`` too. The distance, popularity, coverage and Gini are those of the first ten places, or of the
        largest ``k`` where that is less.
    coverage, gini : tuple of two float
        With re-ranking and without. They are of all lists together, so they have no interval.
    """

    rerankers: tuple[str, ...]
    n_candidates: int
    plain: Report
    comparison: Comparison
    coverage: tuple[float, float]
    gini: tuple[float, float]

    @classmethod
    def of(
        cls, report: Report, plain: Report, train: Csr, rerankers: tuple[Reranker, ...], n_candidates: int
    ) -> Receipt:
        """Return the receipt of two reports of the same evaluation."""
        head = min(HEAD, report.k[-1])
        pairs = [(one["NDCG"], one.intra_list_distance(train, head)) for one in (report, plain)]
        raw = [paired_difference(a, b) for a, b in zip(*pairs, strict=True)]
        adjusted = holm(np.array([d.p_value for d in raw]))
        differences = {d.name: replace(d, p_adjusted=float(p)) for d, p in zip(raw, adjusted, strict=True)}
        popularity = paired_difference(report.popularity, plain.popularity)
        return cls(
            rerankers=tuple(map(repr, rerankers)),
            n_candidates=n_candidates,
            plain=plain,
            comparison=Comparison(differences, popularity, report.n_users, NAMES),
            coverage=(report.coverage, plain.coverage),
            gini=(report.gini, plain.gini),
        )

    def __repr__(self) -> str:
        return f"<Receipt of {', '.join(self.rerankers)} among {self.n_candidates} candidates>"

    def _title(self) -> str:
        return (
            f"Re-ranked by {', '.join(self.rerankers)} among {self.n_candidates:,} candidates, paired over "
            f"{self.comparison.n_users:,} users"
        )

    def _rows(self) -> list[list[str]]:
        place = self.comparison.popularity.name.partition("@")[2]
        of_all = (("Coverage", self.coverage), ("Gini", self.gini))
        return [
            *self.comparison._rows(),
            *([f"{name}@{place}", f"{a:.4f}", f"{b:.4f}", f"{a - b:+.4f}"] for name, (a, b) in of_all),
        ]

    def _parts(self) -> list[str | Rows]:
        return [self._title(), self.comparison.in_words(), self._rows()]
