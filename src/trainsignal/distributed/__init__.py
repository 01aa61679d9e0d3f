"""The ranks of a distributed training go along with each other: they agree, and end together.

communicator    what is needed of the library that carries it, and waiting that can be broken off
single          SingleProcess: no other rank
torch           TorchCommunicator: the processes of torch.distributed; imported from its file alone
mpi             MPICommunicator: the processes of MPI; imported from its file alone
detect          which of these a run uses
ranks           one rank of a run, from the meeting of all to the end
together        collectives that end when a rank fails
meeting         what the ranks compare before epoch 0
stops, wishes, moderator    how a wish of one becomes a stop of all
train_costs     costs of minibatches, as means over the ranks
watch*          who failed, died or left, learnt beside the collectives
failure         the failure of a rank
last_resort     ending a process that is blocked in a collective
"""

from trainsignal.distributed.communicator import Communicator
from trainsignal.distributed.single import SingleProcess

__all__ = ["Communicator", "SingleProcess"]
