"""Which samples of a loader are a rank's own, where a sampler has repeated some to fill up all ranks."""

from __future__ import annotations

import math
from typing import Any, cast

from trainsignal.models.torch.framework import torch


def own_samples(dataset: Any) -> int | None:
    """Return how many samples a loader yields on this rank that no other rank has, the first ones; None: all.

    PyTorch's `DistributedSampler` deals the samples out in turn, and begins anew at the end so that all ranks
    have the same number; those of the second round come last. With `drop_last` it repeats none. A subclass
    with an order of its own counts as one that does the same where its numbers are the same; so does
    Lightning's for a user's sampler. Of a sampler of batches other than PyTorch's, and of a loader that does
    not batch, nothing is known: all count.
    """
    batches: Any = getattr(dataset, "batch_sampler", None)
    if not isinstance(dataset, torch.utils.data.DataLoader) or batches is None:
        return None
    if cast("Any", type(batches)).__iter__ is not torch.utils.data.BatchSampler.__iter__:
        return None
    sampler: Any = batches.sampler
    if not isinstance(sampler, torch.utils.data.DistributedSampler):
        return None
    samples, replicas = len(sampler.dataset), sampler.num_replicas
    dealt = math.ceil(samples / replicas)
    if (sampler.num_samples, sampler.total_size, len(sampler)) != (dealt, dealt * replicas, dealt):
        return None
    return len(range(sampler.rank, samples, replicas))
