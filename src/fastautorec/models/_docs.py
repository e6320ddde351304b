"""The text of parameters that all models of the family share, written once."""

from __future__ import annotations

from inspect import cleandoc
from typing import TypeVar

Model = TypeVar("Model", bound=type)

SHARED = """\
activation : {"relu", "identity", "tanh", "sigmoid"}
    Activation of the hidden units.
normalize : {"l2", None}
    Scale each user's input to unit length.
init : {"random", "svd"}
    Start of training: weights drawn uniformly (Glorot and Bengio 2010), or the exact solution: the encoder from the
    truncated SVD of the first head's closed-form target (mirrored pairs [W, −W] for "relu"), the heads by ridge
    regression on it. With ``epochs=0`` the exact solution is the result.
dropout : float
    Rate q of input dropout, in [0, 1): sampled masks in training, new ones in every epoch; in exact solutions the
    expectation over masks for the identity activation, an average over a few masks for the others.
fit_intercept : bool
    Learn a bias c for each item in every head.
intercept : {"history", "constant"}
    Share g_i of it that user i gets: ‖r_i‖₁^(−½), so that popularity helps where a history says little, or 1.
intercept_penalty : float
    In exact solutions, strength of λ₀ relative to the data: λ₀ = ``intercept_penalty`` · Σ g_i².
popularity_discount : float
    γ: scores are multiplied by pop^(−γ); 0 leaves them as they are.
regularization : float or sequence of float
    In exact solutions, strength of λ relative to the data: λ = ``regularization`` · √(nnz/m) · tr(HᵀH)/k. Of several
    values, each of which counts once, the best ``metric`` on ``validation`` wins (``regularization_``). Training goes
    on with the λ of an exact start in the heads.
optimizer : {"adam", "adamw", "sgd"}
    As in `torch.optim`.
learning_rate : float
schedule : {"constant", "linear", "cosine"}
    Course of the learning rate over ``epochs``, down to 0 except for "constant".
weight_decay : float
    λ of the objective for weights that did not start from an exact head (biases are free); each batch takes
    the mean over its users plus λ/m ‖·‖², so that λ means the same for every batch size. "adamw" decays by 2λ/m.
batch_size : int, optional
    Users in a step; by default 500, or all where there are fewer.
epochs : int or sequence of int
    At most so many passes over the users in each phase, or in the phases one by one: ``best_epochs_`` of a model that
    was stopped by validation data trains another one on all data for as long.
patience : int
    A phase ends when so many epochs in a row were not better than the best one.
metric : str
    What validation data decide by: a metric of ``evaluate``, such as "NDCG" (lists of 50), "Recall@20".
random_state : int or numpy.random.Generator
    Seed of initial weights, order of users, masks and negatives. Streams are counted by (seed, epoch, user): models and
    modes with one seed see the same batches and negatives, and the number of threads changes nothing.
updatable : bool
    Keep the sums over users that the exact prediction head is solved from, so that `partial_fit` and `forget` take
    users in and out exactly. They take as much memory as the decoder, in the model and in its file.
device : {"auto", "cpu", "cuda", "reference"}
    Where to compute.
num_threads : int, optional
    Threads; by default all usable cores. The result is the same for any number."""

SAMPLING = """\
negatives : int
    N, draws for each user and epoch.
power : float
    Items are drawn by popularity to this power: 1 is Eq. 6, 0 uniform over all items.
exclude_positives : bool
    Draw among the items that the user does not have (the paper draws among all).
out : {"sigmoid", "logsigmoid", "tanh", "identity"}
    Output o of the head. The paper does not name it; its text reads as outputs in [0, 1], "sigmoid". "logsigmoid"
    is log σ(z) for positives and −log σ(−z) for negatives (Eq. 3). "identity" has no maximum without a penalty."""

TWO_HEADED = """\
mode : {"joint", "alternating", "limited", "full"}
    "joint": steps on the sum of both losses. "alternating": for each batch a step on the embedding head's loss, then,
    from a fresh forward pass, one on the squared error. "limited": the embedding head until it has converged, then the
    prediction head only, with the encoder frozen. "full": the same, but the squared error trains the encoder too.
solver : {"exact", "gradient"}
    In modes "limited" and "full", how the prediction head is found after the embedding phase: by ridge regression,
    the optimum itself (then "limited" is done and "full" trains on from there), or by epochs of training.
    With "exact", validation data judge the embedding phase by the ridge head, with "gradient" by the embedding head.
embedding_weight : float
    ω ≥ 0, weight of the embedding head's loss in the objective."""

FITTED = """\
encoder_ : float32 (n, k)
    Encoder W, one row for each item.
encoder_bias_ : float32 (k,) or None
    Encoder bias b.
decoder_ : float32 (n, k) or (n, k + 1)
    The head that recommends, popularity discount included, with the intercept in the last column where there is one.
embedding_head_ : float32 (n, k + 1) or None
    The other head, where it was trained.
history_ : list of dict
    One record for each step of the exact start and for each epoch: phase, epoch (0: before training), seconds
    (validation excluded), loss (mean over users, penalties excluded) and, with ``validation``, metric;
    "restored" marks the state that a phase ended with.
regularization_ : float or None
    The value used in exact solutions.
n_users_ : int
    Users that the model has learned from.
best_epochs_ : tuple of int
    For each phase the epoch whose state was kept.
sums_ : dict or None
    Sums over users, with ``updatable``.
skipped_users_ : int
    Users without interactions, and users that were forgotten: rows that the model does not learn from."""


MARKERS = {
    "{shared parameters}": SHARED,
    "{sampling parameters}": SAMPLING,
    "{two-headed parameters}": TWO_HEADED,
    "{fitted attributes}": FITTED,
}


def document(cls: Model) -> Model:
    """Put the shared text in the place of its markers in the docstring of a class."""
    text = cleandoc(cls.__doc__ or "")
    for marker, shared in MARKERS.items():
        text = text.replace(marker, shared)
    cls.__doc__ = f"{text}\n"
    return cls
