"""Accuracy of recommendations, with 95 % intervals and paired comparisons.

Two definitions. For a user with T test items and a list with hits h_l (0 or 1) at ranks l = 1, 2, ...:

=============  =====================================================  ==============================================
metric         "standard"                                             "paper" (published NCE-PLRec tables)
=============  =====================================================  ==============================================
Precision@K    Σ h_l / K                                              same
Recall@K       Σ h_l / T                                              same
F1@K           harmonic mean of the two                               same
MAP@K          Σ h_l · precision@l / min(K, T)                        mean of precision@l over all ranks l <= K
NDCG@K         DCG@K / ideal DCG of min(K, T) hits                    none
NDCG           NDCG@K of the largest K                                DCG of the largest K / ideal DCG of T hits
R-Precision    hits in the first T / T                                hits in the first min(T, largest K) / T
half-width     1.96 · std(ddof=1) / √(users evaluated)                1.96 · std(ddof=0) / √(rows of the matrix)
=============  =====================================================  ==============================================

The gain of a hit at rank l is 1 / log2(l + 1). Users without training items or without test items are left out and
counted in the report. Equal scores rank by item id, ascending, on every device.

Rows and columns of ``test`` are those of ``train``: where both have ids of users or items, the same ones in another
order are put in order, and others are refused; ``far.align`` brings a ready-made split to one numbering.

``popularity_tradeoff`` turns the popularity discount of a fitted model and measures what that costs and gives.

A report keeps the ranks of the test items and the heads of the lists. ``Report.at`` and the analyses, from
``popularity_distribution`` to ``convergence``, need nothing else: no model is asked again. ``fastautorec.plots`` draws
what they return.
"""

from fastautorec.evaluation._buckets import HistoryBuckets, PopularityBuckets, by_history_length, by_item_popularity
from fastautorec.evaluation._compare import Comparison, Difference, compare
from fastautorec.evaluation._convergence import Convergence, ConvergenceRow, convergence, convergence_time
from fastautorec.evaluation._effects import Effect, EffectCurve, MetricAtK, metric_at_k, parameter_effect
from fastautorec.evaluation._evaluate import evaluate, evaluate_ranking
from fastautorec.evaluation._pairs import UserComparison, compare_users
from fastautorec.evaluation._popularity import PopularityDistribution, popularity_distribution
from fastautorec.evaluation._ranks import Ranks
from fastautorec.evaluation._report import Metric, Report
from fastautorec.evaluation._tradeoff import PopularityTradeoff, popularity_tradeoff

__all__ = [
    "Comparison",
    "Convergence",
    "ConvergenceRow",
    "Difference",
    "Effect",
    "EffectCurve",
    "HistoryBuckets",
    "Metric",
    "MetricAtK",
    "PopularityBuckets",
    "PopularityDistribution",
    "PopularityTradeoff",
    "Ranks",
    "Report",
    "UserComparison",
    "by_history_length",
    "by_item_popularity",
    "compare",
    "compare_users",
    "convergence",
    "convergence_time",
    "evaluate",
    "evaluate_ranking",
    "metric_at_k",
    "parameter_effect",
    "popularity_distribution",
    "popularity_tradeoff",
]
