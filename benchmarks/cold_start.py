"""Users that were not in training (section 4.6 of the paper), on MovieLens-1M: 5 % held out, four times.

    python -m benchmarks.cold_start     some two minutes

Models are fitted on the training part of the other users; of the held-out ones they see the training part and are asked
for the validation part, so no test data are used.
"""

from __future__ import annotations

import numpy as np

import fastautorec as far
from benchmarks.accuracy import SETS, TUNING_RATIOS
from benchmarks.accuracy_trained import settings

TIMES, SHARE, METRIC = 4, 0.05, "NDCG@10"
SETTINGS = settings("MovieLens-1M")
EPOCHS = {"AutoRec": 17, "NS-AutoRec, joint": 15, "NCE-AutoRec, closed form": 0}  # the best on validation data


def main() -> None:
    """Print the metric of each model, and its paired difference to NCE-AutoRec."""
    train, validation, _ = SETS["MovieLens-1M"](TUNING_RATIOS)
    models = {"Popularity": far.Popularity(), "PureSVD": far.PureSVD()}
    for name, epochs in EPOCHS.items():
        model_class, params = SETTINGS[name]
        models[name] = getattr(far, model_class)(**{**params, "epochs": epochs})
        if "regularization" in params:
            models[name].set_params(regularization=0.4)
    values: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for seed in range(TIMES):
        order = np.random.default_rng(seed).permutation(train.shape[0])
        size = round(SHARE * train.shape[0])
        held_out, others = np.sort(order[:size]), np.sort(order[size:])
        for name, model in models.items():
            report = far.evaluate(model.fit(train[others]), train[held_out], validation[held_out], k=(10, 50))
            values[name].append(report[METRIC].per_user)
    ours = np.concatenate(values["NCE-AutoRec, closed form"])
    for name, parts in values.items():
        theirs = np.concatenate(parts)
        gap = ours - theirs
        half = [1.96 * each.std(ddof=1) / np.sqrt(len(each)) for each in (theirs, gap)]
        print(
            f"{name:<26} {METRIC} {theirs.mean():.4f} ± {half[0]:.4f}",
            f"NCE-AutoRec − it {gap.mean():+.4f} ± {half[1]:.4f}",
            f"better for {np.mean(gap > 0):.0%}, worse for {np.mean(gap < 0):.0%} of {len(gap):,} users",
            sep=", ",
        )


if __name__ == "__main__":
    main()
