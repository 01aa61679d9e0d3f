"""Callbacks in the way in which neon's users wrote theirs: what they call, index, print and rely upon.

Each keeps in `notes` what it would have printed, plotted or saved.
"""

# ruff: noqa: UP008, UP031, UP032  # as people wrote it

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np

from trainsignal import Callback, LossCallback
from trainsignal.models.numpy_net import Accuracy, Misclassification

logger = logging.getLogger(__name__)


class InitialWeights(Callback):
    """Shows the weights before training, and rate and cost at each epoch's begin."""

    def __init__(self, eval_set: Any, epoch_freq: int = 1) -> None:
        super(InitialWeights, self).__init__(epoch_freq=epoch_freq)
        self.eval_set = eval_set
        self.error = self.be.zeros((1, 1), dtype=np.float32)
        self.notes: list[Any] = []

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        for position in (0, 3):
            weights = model.layers.layers[position].W
            self.notes.append((weights.shape, weights.get()))
        self.error[:] = model.eval(self.eval_set, metric=Misclassification())
        self.notes.append("wrong before training: %.2f%%" % (self.error * 100))

    def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
        rate = model.optimizer.learning_rate
        self.notes.append("epoch " + str(epoch) + " begins with rate " + str(rate))
        self.notes.append(float(str(model.total_cost[0][0])))


class TimedLoss(LossCallback):
    """A loss that also keeps accuracies in groups of its own and the time of each minibatch."""

    def __init__(self, eval_set: Any, epoch_freq: int = 1) -> None:
        super(TimedLoss, self).__init__(eval_set=eval_set, epoch_freq=epoch_freq)
        self.began: Any = None
        self.done = 0
        self.notes: list[Any] = []

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        super(TimedLoss, self).on_train_begin(callback_data, model, epochs)
        total = callback_data["config"].attrs["total_minibatches"]
        callback_data.create_dataset("time/minibatch", (total,))
        callback_data["time/minibatch"].attrs["time_markers"] = "minibatch"
        group = callback_data.create_group("accuracy")
        series = group.create_dataset("valid", (epochs,))
        series.attrs["time_markers"], series.attrs["epoch_freq"] = "epoch_freq", 1

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        callback_data["accuracy/valid"][epoch] = model.eval(self.eval_set, metric=Accuracy())[0]

    def on_minibatch_begin(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self.began = time.perf_counter()

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        callback_data["time/minibatch"][self.done] = time.perf_counter() - self.began
        self.done += 1

    def on_train_end(self, callback_data: Any, model: Any) -> None:
        assert (callback_data["time/minibatch"][:] > 0).all()
        self.notes += [self.done, callback_data["accuracy/valid"][:]]


class ValidationLoss(Callback):
    """neon's own loop over a validation set, with its backend, copied into a callback."""

    def __init__(self, valid_set: Any) -> None:
        super(ValidationLoss, self).__init__(epoch_freq=1)
        self.valid_set = valid_set
        self.valid_cost = self.be.zeros((1, 1))
        self.notes: list[float] = []

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        nprocessed = 0
        self.valid_cost[:] = 0
        self.valid_set.reset()
        for x, t in self.valid_set:
            x = model.fprop(x, inference=True)
            bsz = min(self.valid_set.ndata - nprocessed, self.be.bsz)
            model.cost.get_cost(x, t)
            costbuf = model.cost.outputs[:, :bsz]
            nprocessed += bsz
            self.valid_cost[:] = self.valid_cost + self.be.sum(costbuf, axis=1)
        self.notes.append(float(self.valid_cost.get() / nprocessed))


class ConfusionMatrix(Callback):
    def __init__(self, eval_set: Any, nclass: int) -> None:
        super(ConfusionMatrix, self).__init__()
        self.eval_set = eval_set
        self.nclass = nclass
        self.notes: list[Any] = []

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        callback_data.create_dataset("confusion/valid", (epochs, self.nclass, self.nclass), compression=True)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        matrix = np.zeros((self.nclass, self.nclass))
        seen = 0
        self.eval_set.reset()
        for x, t in self.eval_set:
            y = model.fprop(x, inference=True).get().argmax(axis=0)
            t = t.get().argmax(axis=0)
            for i in range(min(self.be.bsz, self.eval_set.ndata - seen)):
                matrix[t[i], y[i]] += 1
            seen += self.be.bsz
        callback_data["confusion/valid"][epoch, :, :] = matrix
        self.notes.append(callback_data["confusion/valid"][epoch])


class Patience(Callback):
    """Stops when the loss in the shared data has not fallen for some epochs."""

    def __init__(self, patience: int = 1) -> None:
        self.best_state = None
        self.wait = 0
        self.patience = patience
        self.notes: list[Any] = []
        super(Patience, self).__init__(epoch_freq=1)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        cost = callback_data["cost/loss"][epoch]
        self.notes.append(cost)
        if self.best_state is None or cost < self.best_state:
            self.best_state, self.wait = cost, 0
        else:
            self.wait += 1
            if self.wait >= self.patience:
                model.finished = True


class CachedLoss(Callback):
    """Shows the loss that the loss callback has computed, as neon's logger does."""

    def __init__(self) -> None:
        super(CachedLoss, self).__init__(epoch_freq=1, minibatch_freq=None)
        self.notes: list[str] = []

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        line = "epoch %d: cost %.4f" % (epoch, model.total_cost)
        found = self._get_cached_epoch_loss(callback_data, model, epoch, "loss")
        if found:
            line += ", %s %.4f on the other set" % (found["costnm"], found["cost"])
        self.notes.append(line)


class CostPlotter(Callback):
    """Collects at each minibatch what a plot of the cost needs, by the position of the epoch's first one."""

    def __init__(self, freq: Any = 1) -> None:
        super(CostPlotter, self).__init__(minibatch_freq=freq)
        self.notes: list[Any] = []

    def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.nbatches = model.nbatches

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        first = callback_data["time_markers/minibatch"][epoch - 1] if epoch > 0 else 0
        cost = callback_data["cost/train"][first + minibatch]
        self.notes.append((epoch + minibatch / float(self.nbatches), cost))

    def on_train_end(self, callback_data: Any, model: Any) -> None:
        y = np.array(callback_data["cost/train"])
        markers = callback_data["time_markers/minibatch"][...]
        for name in callback_data["cost"].keys():  # noqa: SIM118
            self.notes.append((name, callback_data["cost"][name].attrs["time_markers"]))
        self.notes.append(y[: int(markers[-1])].mean())


class TrainByStage(Callback):
    """Lowers the rate when the metric stands still, keeps the best model, and ends with it."""

    def __init__(self, eval_set: Any, metric: Any, max_patience: int = 1, max_stages: int = 2) -> None:
        super(TrainByStage, self).__init__(epoch_freq=1)
        self.eval_set = eval_set
        self.metric = metric
        self.best_stats: Any = None
        self.best_model: Any = None
        self.patience = 0
        self.max_patience = max_patience
        self.max_stages = max_stages
        self.stage = 1
        self.notes: list[Any] = []

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        if (epoch + 1) % int(self.epoch_freq) == 0:  # type: ignore[arg-type]  # neon's may be a list, too
            self.eval_set.reset()
            stats = model.eval(self.eval_set, metric=self.metric)
            self.notes.append("epoch %d: %.2f%% wrong" % (epoch, stats.flatten() * 100))
            self.notes.extend(model.total_cost)
            if self.best_stats is None or self.best_stats > stats:
                self.best_stats = stats
                self.best_model = model.serialize(keep_states=True)
                self.patience = 0
            else:
                self.patience += 1
            if self.max_patience <= self.patience:
                if self.stage < self.max_stages:
                    self.stage += 1
                    self.patience = 0
                    model.optimizer.learning_rate /= 10
                else:
                    model.finished = True

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        logger.info("Model:\n%s", model)

    def on_train_end(self, callback_data: Any, model: Any) -> None:
        model.deserialize(self.best_model)
        self.notes.append(model.layers.layers[0].W.get())


class Prune(Callback):
    """Sets the smallest weights to zero, and keeps them there."""

    def __init__(self, share: float) -> None:
        super(Prune, self).__init__()
        self.share = share
        self.masks: list[Any] = []
        self.notes: list[Any] = []

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        for layer in model.layers_to_optimize:
            if layer.__class__.__name__ in ["Convolution", "Linear"]:
                W = layer.W.get()
                mask = np.abs(W) > np.percentile(np.abs(W), self.share * 100)
                self.masks.append(mask)
                layer.set_params({"params": {"W": W * mask}})

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        offset = 0
        for i, layer in enumerate(model.layers_to_optimize):
            if layer.__class__.__name__ in ["Convolution", "Linear"]:
                layer.set_params({"params": {"W": layer.W.asnumpyarray() * self.masks[i - offset]}})
            else:
                offset += 1

    def on_train_end(self, callback_data: Any, model: Any) -> None:
        for layer in model.layers_to_optimize:
            self.notes.append("%s %.2f" % (layer.name, np.mean(layer.W.get() == 0)))


class WeightHistory(Callback):
    """Saves each layer's weights at each epoch in a group of its own."""

    def __init__(self, path: str = "weight_history") -> None:
        super(WeightHistory, self).__init__(epoch_freq=1)
        self.path = path
        self.notes: list[Any] = []

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        if self.path not in callback_data:
            callback_data.create_group(self.path)
        group = callback_data[self.path].create_group("epoch_%d" % epoch)
        for index, layer in enumerate(model.layers.layers):
            if hasattr(layer, "W"):
                name = "%s_%d" % (layer.name, index)
                dset = group.create_dataset(name, layer.W.shape, compression=True)
                dset[:] = layer.W.get()
        callback_data.flush()

    def on_train_end(self, callback_data: Any, model: Any) -> None:
        for name in sorted(callback_data[self.path].keys()):
            for weights in callback_data[self.path][name].values():
                self.notes.append(weights[()])


class Histograms(Callback):
    """neon's histograms by its backend: a dataset for each layer, a column for each epoch."""

    def __init__(self) -> None:
        super(Histograms, self).__init__(epoch_freq=1)
        self.notes: list[Any] = []

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        hist_grp = callback_data.create_group("my_hist")
        hist_grp.attrs["bins"] = self.be.hist_bins
        hist_grp.attrs["offset"] = self.be.hist_offset
        hist_grp.attrs["time_steps"] = epochs

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        for l_i, layer in enumerate(model.layers.layers):
            if hasattr(layer, "W"):
                layer.W.hist("%s_%d_%s" % (layer.name, l_i, "W"))
        hist_data, hist_map = self.be.dump_hist_data()
        hist_buf = hist_data.get()
        hdata = callback_data["my_hist"]
        for hname in hist_map:
            shape = (64, hdata.attrs["time_steps"])
            hist_dset = hdata.require_dataset(hname, shape=shape, dtype=hist_buf.dtype)
            hist_dset[:, epoch] = hist_buf[hist_map[hname]].reshape((64,))

    def on_train_end(self, callback_data: Any, model: Any) -> None:
        self.notes += [callback_data["my_hist"][name][:] for name in callback_data["my_hist"]]


class WeightNorms(Callback):
    """Computes norms with the backend, into tensors that it allocated once."""

    def __init__(self) -> None:
        super(WeightNorms, self).__init__(minibatch_freq=2)
        self.norm = self.be.empty((1, 1))
        self.notes: list[float] = []

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        for layer in model.layers_to_optimize:
            self.norm[:] = self.be.sqrt(self.be.sum(self.be.square(layer.W)))
            self.notes.append(self.norm.get()[0, 0])
            self.notes.append(float(self.be.max(self.be.absolute(layer.W), axis=None)))


class MacroEpochs(Callback):
    """Counts epochs in its own way, with attributes that it sets where it needs them."""

    def __init__(self, parts: int) -> None:
        self.epoch_freq = 1
        super(MacroEpochs, self).__init__(epoch_freq=self.epoch_freq)
        self.parts = parts
        self.notes: list[str] = []

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        self.notes.append(str(model))

    def on_minibatch_begin(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self.latest = minibatch

    def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.began = time.time()
        if epoch % self.parts == 0:
            self.notes.append("== pass %d ==" % (epoch // self.parts + 1,))

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        assert time.time() >= self.began
        self.notes.append("%d of %g" % (self.latest + 1, model.nbatches))
        self.notes.append("epoch {} costs {:.4f}".format(epoch, model.total_cost))


class Outputs(Callback):
    """Keeps the outputs on a set, and some of them as text."""

    def __init__(self, eval_set: Any) -> None:
        super(Outputs, self).__init__(epoch_freq=[1])
        self.eval_set = eval_set
        self.notes: list[Any] = []

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        probs = model.get_outputs(self.eval_set)
        self.notes.append(probs)
        self.notes.append(" ".join("%d" % label for label in np.argmax(probs[:5], axis=1)))
