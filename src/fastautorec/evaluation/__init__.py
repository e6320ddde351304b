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

Further ones, in both definitions, from ``Report.metric("MRR@10")`` and its like. Here r₁ < r₂ < … are the ranks of the
h test items among the first K places, o of the n items are neither training nor test items of the user, and popᵢ of the
m training users have item i:

=============  =================================================================  ==================================
metric         value                                                              needs
=============  =================================================================  ==================================
MRR@K          1 / r₁; 0 without a hit [1]_                                       ranks
HitRate@K      1 with a hit, else 0 [2]_                                          ranks
AUC@K          [Σⱼ (o − rⱼ + j) + (T − h) (o − (K − h)) / 2] / (T o): the ROC     ranks
               curve goes straight on after place K [3]_; with K >= all
               candidates, the share of pairs of a test and another item that
               are in order [4]_
Novelty@K      mean of −log₂(max(popᵢ, 1) / m) over the list [5]_                 heads of the lists, popularity
Popularity@K   mean of popᵢ over the list                                         heads of the lists, popularity
Coverage@K     share of the n items that anybody's list has [6]_                  heads of the lists
Gini@K         Gini coefficient of how often each item is listed [7]_             heads of the lists
ILD@K          mean over pairs of the list of 1 − cosine of their training        heads of the lists and the
               columns: ``Report.intra_list_distance`` [8]_                       training data
=============  =================================================================  ==================================

Heads are kept to 100 places. ``Report.coverage`` and ``Report.gini`` are those of ten; ``popularity_distribution`` has
them for any K. A list that is shorter than K counts with its own length. AUC assumes that the items of a list are new
to the user: where a note says that they are not, it is approximate.

``popularity_tradeoff`` turns the popularity discount of a fitted model and measures what that costs and gives;
``evaluate(..., rerank=)`` does so for ``fastautorec.rerank``, in the ``receipt`` of its report.

A report keeps the ranks of the test items and the heads of the lists. ``Report.at`` and the analyses, from
``popularity_distribution`` to ``convergence``, need nothing else: no model is asked again. ``fastautorec.plots`` draws
what they return.

References
----------
.. [1] E. M. Voorhees, "The TREC-8 question answering track report", TREC 1999.
.. [2] M. Deshpande and G. Karypis, "Item-based top-N recommendation algorithms", TOIS 22 (2004), 143-177.
.. [3] G. Schröder, M. Thiele and W. Lehner, "Setting goals and choosing metrics for recommender system evaluations",
   UCERSTI 2 at RecSys 2011 ("limited AUC").
.. [4] S. Rendle, C. Freudenthaler, Z. Gantner and L. Schmidt-Thieme, "BPR: Bayesian personalized ranking from implicit
   feedback", UAI 2009, section 4.1.1.
.. [5] T. Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 107 (2010),
   4511-4515 (surprisal, or self-information).
.. [6] M. Ge, C. Delgado-Battenfeld and D. Jannach, "Beyond accuracy: evaluating recommender systems by coverage and
   serendipity", RecSys 2010 (catalog coverage).
.. [7] G. Shani and A. Gunawardana, "Evaluating recommendation systems", Recommender Systems Handbook, 2011, section
   8.3.3.
.. [8] C.-N. Ziegler, S. M. McNee, J. A. Konstan and G. Lausen, "Improving recommendation lists through topic
   diversification", WWW 2005; here as a mean of distances.
"""

from fastautorec.evaluation._buckets import HistoryBuckets, PopularityBuckets, by_history_length, by_item_popularity
from fastautorec.evaluation._compare import Comparison, Difference, compare
from fastautorec.evaluation._convergence import Convergence, ConvergenceRow, convergence, convergence_time
from fastautorec.evaluation._effects import Effect, EffectCurve, MetricAtK, metric_at_k, parameter_effect
from fastautorec.evaluation._evaluate import evaluate, evaluate_ranking
from fastautorec.evaluation._metric import Metric
from fastautorec.evaluation._pairs import UserComparison, compare_users
from fastautorec.evaluation._popularity import PopularityDistribution, popularity_distribution
from fastautorec.evaluation._ranks import Ranks
from fastautorec.evaluation._receipt import Receipt
from fastautorec.evaluation._report import Report
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
    "Receipt",
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
