"""Train a small convolutional network of PyTorch on handwritten digits.

The loop is written by hand; `with callbacks.training(...)` and two iterators are all that is added. Shows
the loss on held-out digits while it trains, then their accuracy in each epoch and what became of the run.
The best state is in "best.pt", which `torch.load` reads too, and the record of the run in "run.h5". Stop it
with Ctrl-C and start it again with `--resume`: it goes on where it was, from "model.pt".
"""

import sys

import numpy as np
import torch
import torchmetrics
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from trainsignal import Callbacks
from trainsignal.models.torch import TorchModel

torch.manual_seed(0)
digits = load_digits()
images = torch.from_numpy((digits.images / 16).astype(np.float32)).unsqueeze(1)  # (1797, 1, 8, 8)
training, held_out = random_split(TensorDataset(images, torch.from_numpy(digits.target)), [1440, 357])
train_loader, eval_loader = DataLoader(training, 32, shuffle=True), DataLoader(held_out, 128)

network = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10),
)  # fmt: skip
optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
loss_function = nn.CrossEntropyLoss()

callbacks = Callbacks(
    TorchModel(network, loss=loss_function, optimizer=optimizer),
    output_file="run.h5",
    save_path="model.pt",
    eval_set=eval_loader,
    eval_freq=1,
    metric=torchmetrics.Accuracy(task="multiclass", num_classes=10),
    resume="--resume" in sys.argv,
)
callbacks.add_save_best_state_callback("best.pt")

with callbacks.training(epochs=5) as run:
    for _ in run.epochs():
        for x, y in run.minibatches(train_loader):
            optimizer.zero_grad()
            loss = loss_function(network(x), y)
            loss.backward()
            optimizer.step()
            run.cost = loss  # stays on its device until somebody reads it

for epoch, accuracy in enumerate(callbacks.callback_data["metrics/MulticlassAccuracy"]):
    print(f"epoch {epoch}: {accuracy:.1%} are told right")
print(callbacks.summary())
