"""What callbacks written for neon may do, each as a contract: with the shared data and the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.drop_in import HOOKS, AtHook, ran_with
from tests.support.runs import fit, quiet, tiny_model, tiny_set
from trainsignal import Callback
from trainsignal.models.numpy_net import Accuracy


def use_shared_data(data: Any) -> None:
    """Do with the shared data all that neon's callbacks and their users' are known to do."""
    group = data.create_group("mine")
    group.attrs["bins"] = 64
    made = group.create_dataset("deep/er/series", (4,))
    made.attrs["time_markers"] = "minibatch"
    made[0] = 1.5
    made[np.float32(1)] = 2.5
    made[2:] = [3.5, 4.5]
    assert made[1:3].tolist() == [2.5, 3.5]
    assert made[1:3].mean() == 3.0 and made[:].sum() == 12
    assert np.array(made).dtype == np.float32
    assert made.attrs["time_markers"] == "minibatch"

    packed = data.create_dataset("packed", (3, 2), compression=True, dtype=np.uint8)
    packed[0, :] = 1
    packed[:, 1] = [2, 3, 4]
    assert packed[...].tolist() == [[1, 2], [0, 3], [0, 4]]

    again = group.require_dataset("hist", shape=(2, 3), dtype=np.int32)
    again[:, 1] = [5, 6]
    assert group.require_dataset("hist", shape=(2, 3), dtype=np.int32)[1].tolist() == [0, 6, 0]
    assert data.require_group("mine") == group
    assert "mine/deep/er" in data and "hist" in group and "nothing" not in data
    assert set(group.keys()) == {"deep", "hist"}
    assert [name for name, _ in group.items()] == list(group)
    assert isinstance(group, h5py.Group) and isinstance(made, h5py.Dataset)
    data.flush()
    assert data["mine"]["deep"]["er/series"][3] == 4.5
    del group["hist"]
    assert "hist" not in group


class TestSharedData:
    @pytest.mark.parametrize("hook", HOOKS)
    def test_groups_and_datasets_can_be_used_at_any_hook(self, hook: str, tmp_path: Any) -> None:
        uses: list[int] = []

        def use_once(callback_data: Any, *arguments: Any) -> None:
            if not uses:
                uses.append(1)
                use_shared_data(callback_data)

        path = tmp_path / "run.h5"
        data = ran_with(AtHook(hook, use_once), output_file=path)
        assert uses
        assert data["mine/deep/er/series"][:].tolist() == [1.5, 2.5, 3.5, 4.5]
        with h5py.File(path) as archive:
            assert archive["mine/deep/er/series"][:].tolist() == [1.5, 2.5, 3.5, 4.5]
            assert archive["mine"].attrs["bins"] == 64
            assert archive["packed"].compression == "gzip"

    @pytest.mark.parametrize("hook", HOOKS)
    def test_flushing_at_any_hook_leaves_the_file_whole(self, hook: str, tmp_path: Any) -> None:
        path = tmp_path / "run.h5"
        seen: list[bool] = []

        def flush(callback_data: Any, *arguments: Any) -> None:
            callback_data.flush()
            with h5py.File(path) as archive:
                seen.append("cost/train" in archive)

        ran_with(AtHook(hook, flush), output_file=path)
        assert seen and all(seen)

    def test_rows_that_a_user_did_not_write_are_zero(self) -> None:
        def make(callback_data: Any, model: Any, epochs: int) -> None:
            callback_data.create_dataset("mine/series", (epochs,))

        data = ran_with(AtHook("on_train_begin", make))
        np.testing.assert_array_equal(data["mine/series"], [0, 0])

    def test_costs_of_this_and_earlier_minibatches_are_there_to_read(self) -> None:
        read: list[tuple[float, float]] = []

        def look(callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            start = callback_data["time_markers/minibatch"][epoch - 1] if epoch > 0 else 0
            costs = callback_data["cost/train"]
            read.append((costs[start + minibatch], costs[: start + minibatch + 1].mean()))

        data = ran_with(AtHook("on_minibatch_end", look))
        costs = data["cost/train"][:]
        assert [latest for latest, _ in read] == costs.tolist()
        np.testing.assert_allclose([mean for _, mean in read], np.cumsum(costs) / np.arange(1, 5), rtol=1e-6)

    def test_loss_of_the_epoch_is_there_to_read(self) -> None:
        read: list[dict[str, Any] | None] = []

        class Reader(Callback):
            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                read.append(self._get_cached_epoch_loss(callback_data, model, epoch, "loss"))

        data = ran_with(Reader(), epochs=4, eval_freq=2, eval_set=tiny_set())
        assert [one is None for one in read] == [True, False, True, False]
        assert [one["cost"] for one in read if one] == data["cost/loss"][:].tolist()
        assert {one["costnm"] for one in read if one} == {"CrossEntropyMulti"}


class TestModel:
    """What callbacks do with the model that they are given."""

    def test_cost_is_read_in_each_of_the_usual_ways(self) -> None:
        read: list[tuple[Any, ...]] = []

        def look(callback_data: Any, model: Any, epoch: int) -> None:
            total = model.total_cost
            text = "Epoch %d cost %f" % (epoch, total)  # noqa: UP031  # as people wrote it
            read.append((total[0][0], total.get()[0, 0], float(total), float(total.get()), total[0, 0], text))

        ran_with(AtHook("on_epoch_end", look))
        for epoch, (first, *others, text) in enumerate(read):
            assert first > 0
            assert others == [first] * 4
            assert text == f"Epoch {epoch} cost {first:f}"

    def test_cost_is_compared_with_that_of_the_epoch_before(self) -> None:
        changes: list[float] = []

        class Change(Callback):
            before: Any = 0

            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                changes.append(float(abs(model.total_cost - self.before)))
                self.before = model.total_cost.get()

        ran_with(Change(), epochs=3)
        assert len(changes) == 3 and changes[1] > 0 and changes[1] != changes[0]

    def test_weights_are_looked_at(self) -> None:
        def look(callback_data: Any, model: Any, epochs: int) -> None:
            weights = model.layers.layers[0].W
            assert weights.shape == (2, 2)
            np.testing.assert_array_equal(weights.get(), np.array(weights))
            callback_data.create_dataset("weights", data=weights.get())

        assert np.abs(ran_with(AtHook("on_train_begin", look))["weights"][:]).sum() > 0

    @pytest.mark.parametrize("change", [
        lambda layer, mask: layer.set_params({"params": {"W": layer.W.asnumpyarray() * mask}}),
        lambda layer, mask: layer.set_params({"W": layer.W.get() * mask}),
        lambda layer, mask: layer.set_params(layer.W.get() * mask),
        lambda layer, mask: layer.W.set(layer.W.get() * mask),
        lambda layer, mask: layer.W.__setitem__(slice(None), layer.W * mask),
        lambda layer, mask: setattr(layer, "W", layer.W * mask),
    ], ids=["params", "dict", "array", "set", "slice", "assigned"])  # fmt: skip
    def test_weights_that_are_pruned_at_each_minibatch_stay_zero(self, change: Callable[..., object]) -> None:
        mask = np.array([[0, 1], [1, 0]])

        def prune(callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            for layer in model.layers_to_optimize:
                if layer.__class__.__name__ in ["Convolution", "Linear"]:
                    change(layer, mask)

        kept: list[Any] = []
        pruning = AtHook("on_minibatch_end", prune)
        vars(pruning)["on_train_end"] = lambda data, model: kept.append(model.layers.layers[0].W.get())
        ran_with(pruning)
        np.testing.assert_array_equal(kept[0] == 0, mask == 0)

    def test_metric_is_evaluated_and_printed(self) -> None:
        shown: list[str] = []

        def evaluate(callback_data: Any, model: Any, epoch: int) -> None:
            accuracy = model.eval(tiny_set(), metric=Accuracy())
            assert 0 <= accuracy[0] <= 1
            shown.append("%.1f%%" % (accuracy * 100))  # as people wrote it
            shown.append("%.1f%%" % (accuracy.flatten() * 100))

        ran_with(AtHook("on_epoch_end", evaluate))
        assert len(set(shown[:2])) == 1
        assert set(shown) <= {"0.0%", "25.0%", "50.0%", "75.0%", "100.0%"}

    @pytest.mark.parametrize("hook, epochs", [
        ("on_epoch_begin", 1), ("on_minibatch_begin", 1), ("on_minibatch_end", 1), ("on_epoch_end", 1),
    ])  # fmt: skip
    def test_model_that_is_finished_ends_its_epoch_first(self, hook: str, epochs: int) -> None:
        ended: list[int] = []

        def finish(callback_data: Any, model: Any, *arguments: int) -> None:
            model.finished = True

        finishing = AtHook(hook, finish)
        model = tiny_model()
        callbacks = quiet(model)
        callbacks.callbacks = [finishing, AtHook("on_train_end", lambda *_: ended.append(1))]
        fit(model, callbacks, 5)
        assert callbacks.callback_data["time_markers"].attrs["epochs_complete"] == epochs
        assert callbacks.callback_data["time_markers"].attrs["minibatches_complete"] == 2 * epochs
        assert callbacks.run.exit_reason == "stopped"
        assert ended == [1]
