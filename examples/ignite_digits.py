"""Train a small network on handwritten digits with Ignite; one line plugs the callbacks in.

What the evaluator computes at the end of each epoch becomes series, although its handler is added after ours:
the state with the least `val_loss` is in "digits-best.h5", and the record of the run in "digits-run.h5".
"""

import torch
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.metrics import Accuracy, Loss
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

from trainsignal import Callbacks, SaveBestStateCallback, StopWhenNotImprovingCallback
from trainsignal.loops.ignite import IgniteLoop
from trainsignal.models.torch import TorchModel

torch.manual_seed(0)
pixels, digits = (torch.as_tensor(one) for one in load_digits(return_X_y=True))
train_set, valid_set = random_split(TensorDataset(pixels.float() / 16, digits), [0.8, 0.2])
train_loader, valid_loader = DataLoader(train_set, 32, shuffle=True), DataLoader(valid_set, 128)

module = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
loss = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
trainer = create_supervised_trainer(module, optimizer, loss)
evaluator = create_supervised_evaluator(module, {"loss": Loss(loss), "accuracy": Accuracy()})

model = TorchModel(module, loss=loss, optimizer=optimizer)
callbacks = Callbacks(model, output_file="digits-run.h5", progress_bar=False)
callbacks.add_callback(SaveBestStateCallback("digits-best.h5"))
callbacks.add_callback(StopWhenNotImprovingCallback(patience=3))
IgniteLoop(callbacks).attach(trainer, {"val": evaluator})

trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(valid_loader))
trainer.run(train_loader, max_epochs=30)
print(callbacks.summary())
