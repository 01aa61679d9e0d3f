"""Train a small network on handwritten digits with Lightning; one line plugs the callbacks in.

What the module logs in validation becomes series: training stops when `val_loss` has not improved for three
epochs, the best state is in "digits-best.h5", and the record of the run in "digits-run.h5".
"""

import logging
from typing import Any

import lightning.pytorch as pytorch
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split

from trainsignal import Callbacks, SaveBestStateCallback, StopWhenNotImprovingCallback
from trainsignal.loops.lightning import LightningLoop
from trainsignal.models.torch import TorchModel

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
LightningModule: Any = pytorch.LightningModule


class Digits(LightningModule):  # type: ignore[misc]  # used without types
    """A network of one hidden layer, from (samples, 64) pixels to (samples, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))

    def training_step(self, batch: Any) -> Any:
        """Return the loss of a minibatch."""
        return cross_entropy(self.layers(batch[0]), batch[1])

    def validation_step(self, batch: Any) -> None:
        """Log loss and accuracy."""
        logits = self.layers(batch[0])
        self.log("val_loss", cross_entropy(logits, batch[1]))
        self.log("val_accuracy", (logits.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> Any:
        """Return the optimizer."""
        return torch.optim.Adam(self.parameters(), lr=0.01)


pytorch.seed_everything(0, verbose=False)
pixels, digits = (torch.as_tensor(one) for one in load_digits(return_X_y=True))
train_set, valid_set = random_split(TensorDataset(pixels.float() / 16, digits), [0.8, 0.2])
train_loader, valid_loader = DataLoader(train_set, 32, shuffle=True), DataLoader(valid_set, 128)
module = Digits()

callbacks = Callbacks(TorchModel(module), output_file="digits-run.h5", progress_bar=False)
callbacks.add_callback(SaveBestStateCallback("digits-best.h5"))
callbacks.add_callback(StopWhenNotImprovingCallback(patience=3))
trainer = pytorch.Trainer(max_epochs=30, callbacks=[LightningLoop(callbacks)], accelerator="cpu",
                          logger=False, enable_progress_bar=False, enable_checkpointing=False)  # fmt: skip
trainer.fit(module, train_loader, valid_loader)
print(callbacks.summary())
