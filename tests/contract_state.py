"""What a fitted model keeps in memory and in files; `contract.ModelContract` inherits it."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far


def another(value: Any) -> Any:
    """Return another value than that of a parameter, be it a good one or not."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return 2 * value + 1
    return "another" if value is None or isinstance(value, str) else [7]


def answers(model: Any, train: sparse.csr_matrix) -> list[bytes]:
    """Return all that a fitted model says, to the bit."""
    said = [*model.recommend(train, N=5), model.predict(train), *model.similar_items([3, 30], N=5)]
    said += [model.embed(train)] if hasattr(model, "embed") else []
    return [np.ascontiguousarray(array).tobytes() for array in said]


class StateContract:
    """The fixtures ``model`` and ``train`` are those of `contract`."""

    takes_penalties = False  # whether `regularization` may be a list

    def test_save_and_load(self, model: Any, train: sparse.csr_matrix, tmp_path: Any) -> None:
        model.save(tmp_path / "model.npz")
        loaded = far.load(tmp_path / "model.npz")
        assert type(loaded) is type(model)
        assert loaded.get_params() == model.get_params()
        assert vars(loaded).keys() == vars(model).keys()
        assert loaded.history_ == model.history_
        np.testing.assert_array_equal(loaded.predict(train), model.predict(train))

    def test_save_as_a_folder_and_map_it(self, model: Any, train: sparse.csr_matrix, tmp_path: Any) -> None:
        model.save(tmp_path / "model", format="folder")
        for mmap in (False, True):
            loaded = far.load(tmp_path / "model", mmap=mmap)
            assert vars(loaded).keys() | {"_indexes"} == vars(model).keys() | {"_indexes"}  # made by the first lists
            assert answers(loaded, train) == answers(model, train)

    @pytest.mark.parametrize("device", ["cpu", "reference"])
    def test_a_ranker_gives_the_lists_of_recommend(self, train: sparse.csr_matrix, device: str) -> None:
        model = self.make_on(device).fit(train)
        if not self.serves_strangers:
            with pytest.raises(ValueError, match="has a vector for each user of fit and cannot answer by a history"):
                model.ranker()
            return
        for options in (
            {},
            {"N": 60, "filter_already_liked_items": False},
            {"items": [3, 8, 40], "N": 5},
            {"items": list(range(50)), "filter_items": [2]},
        ):
            ranker = model.ranker(**options)
            for row in (*train[:8], sparse.csr_matrix((1, 60))):
                expected = model.recommend(row, **options)
                for one, rows in zip(ranker.recommend(row.indices[::-1]), expected, strict=True):
                    np.testing.assert_array_equal(one, rows[0])
                    assert one.dtype == rows.dtype

    def test_users_are_forgotten_or_the_reason_is_told(self, model: Any, train: sparse.csr_matrix) -> None:
        if isinstance(model, far.Popularity):
            assert model.forget(train[:3]).n_users_ == 117
            return
        expected = answers(model, train)
        with pytest.raises(ValueError, match=f"{type(model).__name__} cannot forget users.*fit\\(user_items\\) again"):
            model.forget(train[:3])
        assert answers(model, train) == expected

    def test_pickles_for_multiprocessing(self, model: Any, train: sparse.csr_matrix) -> None:
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(train), model.predict(train))

    def test_parameters_after_fit_count_for_the_next_one(
        self, model: Any, train: sparse.csr_matrix, tmp_path: Any
    ) -> None:
        fitted, expected = model.get_params(), answers(model, train)
        for name, value in fitted.items():
            if name == "num_threads":
                continue
            setattr(model, name, another(value))
            assert answers(model, train) == expected, name
            model.save(tmp_path / "model.npz")
            loaded = far.load(tmp_path / "model.npz")
            assert answers(loaded, train) == expected, name
            assert loaded.get_params() == fitted, name
            assert model.get_params() == {**fitted, name: another(value)}
            model.set_params(**{name: value})
        model.set_params(num_threads=3)
        assert answers(model, train) == expected

    def test_parameters_are_kept_as_they_were(self, train: sparse.csr_matrix, tmp_path: Any) -> None:
        """A list among them may change, and so may the model while it is fitted."""
        penalties = [self.make().get_params().get("regularization", 1.0)]
        model = self.make(**({"regularization": penalties} if self.takes_penalties else {}))
        wanted = answers(self.make().fit(train), train)
        changed = {name: another(value) for name, value in model.get_params().items()}
        model.fit(train, callbacks=[lambda record: model.set_params(**changed)])
        model.set_params(num_threads=1)
        penalties[:] = [1e9, 1e10]
        assert answers(model, train) == wanted
        model.save(tmp_path / "model.npz")
        assert far.load(tmp_path / "model.npz").get_params().get("regularization") != penalties

    def test_a_refused_fit_leaves_a_model_that_works(self, model: Any, train: sparse.csr_matrix, tmp_path: Any) -> None:
        fitted, expected = model.get_params(), answers(model, train)
        refused = 0
        for name, value in fitted.items():
            try:
                model.set_params(**{name: object()}).fit(train)
            except (TypeError, ValueError):
                refused += 1
            model.num_threads = 1
            assert answers(model, train) == expected, name
            model.save(tmp_path / "model.npz")
            assert answers(far.load(tmp_path / "model.npz"), train) == expected, name
            model.set_params(**{name: value})
        assert refused == len(fitted)

    def test_models_of_earlier_files(self, model: Any, train: sparse.csr_matrix, tmp_path: Any) -> None:
        """They have neither item counts nor, for most models, a number of users."""
        model.save(tmp_path / "model.npz")
        with np.load(tmp_path / "model.npz") as archive:
            arrays = dict(archive)
        header = json.loads(arrays["header"].tobytes())
        if "embedding_head_" not in header["arrays"]:
            del header["arrays"]["item_counts_"], arrays["item_counts_"]
            if not hasattr(model, "trained_on_"):
                del header["fitted"]["n_users_"]
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        np.savez(tmp_path / "old.npz", **arrays)
        old = far.load(tmp_path / "old.npz")
        assert answers(old, train) == answers(model, train)
        ids, _ = old.recommend(train[:1] * 0 if self.serves_strangers else train, N=3)
        assert (ids >= 0).all()

    def test_failed_fit_keeps_the_former_state(self, model: Any, train: sparse.csr_matrix) -> None:
        before = model.predict(train)
        with pytest.raises(ValueError, match="at least one interaction"):
            model.fit(sparse.csr_matrix((120, 60)))

        def stop(record: dict[str, Any]) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            model.fit(train[:60], callbacks=[stop])
        np.testing.assert_array_equal(model.predict(train), before)

    def test_read_only_arrays(self, train: sparse.csr_matrix, tmp_path: Any) -> None:
        expected = answers(self.make().fit(train), train)
        frozen = train.copy()
        for array in (frozen.data, frozen.indices, frozen.indptr):
            array.flags.writeable = False
        assert answers(self.make().fit(frozen), frozen) == expected
        joblib = pytest.importorskip("joblib")
        joblib.dump(train, tmp_path / "train.joblib")
        mapped = joblib.load(tmp_path / "train.joblib", mmap_mode="r")
        assert answers(self.make().fit(mapped), mapped) == expected
        far.Interactions(train).to_disk(tmp_path / "folder")
        stored = far.Interactions.open(tmp_path / "folder")
        assert answers(self.make().fit(stored), stored) == expected
