"""Train one model by several processes, each with a share of the digits, as PyTorch's DDP does.

Start it with `torchrun --nproc-per-node 4 ddp_digits.py`, or as a plain script, which is one process alone.
Loss and accuracy are those of all held-out digits, however many ranks there are. The first rank alone draws,
prints, and writes the record of the run, "ddp.h5", and the checkpoint, "ddp.pt"; `--resume` goes on from it.
All ranks stop together: after Ctrl-C, when one of them wants to, or when one fails.
"""

import sys

import numpy as np
import torch
import torch.distributed as dist
import torchmetrics
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset, random_split

from trainsignal import Callbacks
from trainsignal.models.torch import TorchModel

if dist.is_torchelastic_launched():
    dist.init_process_group("gloo")  # on GPUs "nccl"
else:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)

torch.manual_seed(0)  # the same data and weights on every rank
digits = load_digits()
images = torch.from_numpy((digits.images / 16).astype(np.float32)).flatten(1)  # (1797, 64)
training, held_out = random_split(TensorDataset(images, torch.from_numpy(digits.target)), [1440, 357])
sampler = DistributedSampler(training)
train_loader = DataLoader(training, 32, sampler=sampler)
eval_loader = DataLoader(held_out, 128, sampler=DistributedSampler(held_out, shuffle=False))

network = DistributedDataParallel(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)))
optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
loss_function = nn.CrossEntropyLoss()

callbacks = Callbacks(
    TorchModel(network, loss=loss_function, optimizer=optimizer),
    output_file="ddp.h5", save_path="ddp.pt", eval_set=eval_loader, eval_freq=1,
    metric=torchmetrics.Accuracy(task="multiclass", num_classes=10), resume="--resume" in sys.argv,
)  # fmt: skip

with callbacks.training(epochs=5) as run:
    for epoch in run.epochs():
        sampler.set_epoch(epoch)
        for x, y in run.minibatches(train_loader):
            optimizer.zero_grad()
            loss = loss_function(network(x), y)
            loss.backward()
            optimizer.step()
            run.cost = loss

if run.rank == 0:
    print(callbacks.summary())
dist.destroy_process_group()
