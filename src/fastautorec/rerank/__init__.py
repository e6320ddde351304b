"""Other orders of the best items: more varied lists, caps for groups of items, lists that explore.

``recommend(..., rerank=)`` and ``recommend_table`` take the best ``n_candidates`` items of each user by score and let
one or more re-rankers choose and order the N that are listed. ``evaluate(..., rerank=)`` tells what that costs and
gives: the report has a ``receipt`` of paired differences to the plain lists.

>>> import fastautorec as far
>>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
>>> model = far.NCEAutoRec(factors=64).fit(train)
>>> ids, scores = model.recommend(train.user_items[:3], N=5, rerank=far.rerank.MMR(strength=0.3))
>>> receipt = far.evaluate(model, train, test, k=10, rerank=far.rerank.MMR(strength=0.3)).receipt
>>> receipt.comparison["ILD@10"].difference > 0 > receipt.comparison["NDCG"].difference
True

Several re-rankers work one after the other, each on the order that the one before has left. `MMR` and `Explore` go by
scores and not by that order, so they come first; `Caps` keeps the order, so it comes last and its caps hold.

A re-ranker of your own has one method; here the list is turned round:

>>> class Backwards:
...     def order(self, ids, scores, request):
...         return np.argsort(scores, axis=1)[:, : request.n]  # places of the candidates, best first
>>> import numpy as np
>>> ids, scores = model.recommend(train.user_items[:3], N=5, rerank=Backwards(), n_candidates=20)
"""

from fastautorec.rerank._apply import Request, Reranker
from fastautorec.rerank._rerankers import MMR, Caps, Explore

__all__ = ["MMR", "Caps", "Explore", "Request", "Reranker"]
