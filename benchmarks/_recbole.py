"""RecBole as a peer: one of its autoencoders, with its own defaults, on interactions of ours."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed
from scipy import sparse

import fastautorec as far

NAME = "interactions"
USERS_AT_ONCE = 1024
REMOVED = {"float_": np.float64, "complex_": np.complex128, "object_": np.object_, "unicode_": np.str_}  # by NumPy 2
for _name, _kind in REMOVED.items():
    if not hasattr(np, _name):
        setattr(np, _name, _kind)  # RecBole 1.2 asks for them
LISTED = 50


class RecBole:
    """A model of RecBole and its trainer; every user is trained on, nothing is held out by RecBole.

    Parameters
    ----------
    name : {"MultiVAE", "MultiDAE", "CDAE"}
    train : CSR (m, n)
    """

    def __init__(self, name: str, train: sparse.csr_matrix) -> None:
        self._active = np.flatnonzero(train.getnnz(axis=1))  # RecBole knows no others
        self._train = train[self._active]
        with tempfile.TemporaryDirectory() as folder:
            config = Config(model=name, dataset=NAME, config_dict=_settings(folder))
            _write(self._train, Path(folder) / NAME)
            logging.getLogger().setLevel(logging.WARNING)
            init_seed(config["seed"], reproducibility=True)
            dataset = create_dataset(config)
            self._batches, _, _ = data_preparation(config, dataset)
            self._model = get_model(name)(config, self._batches.dataset)
            self._trainer = get_trainer(config["MODEL_TYPE"], name)(config, self._model)
        self._user, self._number = dataset.uid_field, 0
        # RecBole numbers users and items in order of appearance, from 1
        self._users = torch.from_numpy(dataset.token2id(self._user, [str(i) for i in range(len(self._active))]))
        self._known = np.flatnonzero(train.getnnz(axis=0))
        self._items = dataset.token2id(dataset.iid_field, [str(j) for j in self._known])

    def epoch(self) -> float:
        """Train on every user once; return the sum of the losses of the batches."""
        self._model.train()
        loss = self._trainer._train_epoch(self._batches, self._number)
        self._number += 1
        return float(loss)

    def ndcg(self, held_out: sparse.csr_matrix) -> float:
        """Return the NDCG of lists of 50, "standard" definition, as training by this library is judged."""
        m, n = self._train.shape
        lists = np.empty((m, LISTED), np.int32)
        scores = np.full((min(USERS_AT_ONCE, m), n), -np.inf, np.float32)
        self._model.eval()
        with torch.no_grad():
            for start in range(0, m, USERS_AT_ONCE):
                stop = min(start + USERS_AT_ONCE, m)
                given = self._model.full_sort_predict({self._user: self._users[start:stop]})
                scores[: stop - start, self._known] = given.view(stop - start, -1).numpy()[:, self._items]
                part = self._train[start:stop]
                lists[start:stop], _ = far.ops.top_items(scores[: stop - start], LISTED, part)
        return float(far.evaluate_ranking(lists, self._train, held_out[self._active], k=LISTED)["NDCG"].mean)


def _settings(folder: str) -> dict[str, Any]:
    return {
        "data_path": folder,
        "checkpoint_dir": folder,
        "load_col": {"inter": ["user_id", "item_id"]},
        "eval_args": {"split": {"RS": [1, 0, 0]}, "order": "RO", "group_by": None, "mode": "full"},
        "use_gpu": False,
        "show_progress": False,
        "state": "CRITICAL",
    }


def _write(train: sparse.csr_matrix, folder: Path) -> None:
    """Write the file that RecBole reads: a table of users and items."""
    pairs = train.tocoo()
    folder.mkdir(exist_ok=True)
    with (folder / f"{NAME}.inter").open("w", encoding="utf-8") as file:
        file.write("user_id:token\titem_id:token\n")
        np.savetxt(file, np.column_stack([pairs.row, pairs.col]), "%d", delimiter="\t")
