"""Searches and cross-validation of scikit-learn that hold out a part of each user's history.

`Samples` are interactions one by one, `UserKFold` deals those of each user into folds, and `Scorer` is a metric of
`evaluate`. ``GridSearchCV`` fits the best model on all of them in the end.

>>> import fastautorec as far
>>> from sklearn.model_selection import GridSearchCV, cross_val_score
>>> data = far.datasets.synthetic(300, 100, 5000, random_state=0)
>>> samples, folds = far.model_selection.Samples(data), far.model_selection.UserKFold(n_splits=3)
>>> scores = cross_val_score(far.EASE(), samples, cv=folds, scoring=far.model_selection.Scorer("Recall@20"))
>>> search = GridSearchCV(far.EASE(), {"regularization": [10.0, 1000.0]}, cv=folds).fit(samples)
>>> ids, scores = search.best_estimator_.recommend(data, N=5)

Without a scorer it is a model's ``score``, the NDCG of lists of 50. Where users and not parts of histories are to be
held out, pass the matrix itself and a number of folds: ``cross_val_score(model, data.user_items, cv=5)``. `tune`
searches with a fixed validation part, tries several penalties at the price of one, and stops training early.
"""

from fastautorec.data._samples import Samples
from fastautorec.model_selection._folds import Scorer, UserKFold

__all__ = ["Samples", "Scorer", "UserKFold"]
