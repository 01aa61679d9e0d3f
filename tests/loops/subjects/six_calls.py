"""A loop that makes neon's six calls itself, and tells nobody when it raises."""

from __future__ import annotations

from tests.loops.subjects.hand_written import LinearModel
from tests.support.linear_problem import BATCH_SIZE, descend
from tests.support.loop_subjects import Plan, Subject
from trainsignal import Callbacks


def train(callbacks: Callbacks, plan: Plan) -> None:
    model, data = callbacks.model(), callbacks.serve(plan.loader())
    if plan.is_length_known:
        model.nbatches, model.ndata = plan.minibatches, plan.minibatches * BATCH_SIZE  # as neon's fit does
    callbacks.on_train_begin(plan.epochs)
    while callbacks.run.epochs_complete < plan.epochs and not callbacks.run.should_stop("epoch"):
        epoch = callbacks.run.epochs_complete
        callbacks.on_epoch_begin(epoch)
        for x, y in data:
            minibatch = callbacks.epoch_minibatches
            callbacks.on_minibatch_begin(epoch, minibatch)
            model.weights, callbacks.run.cost = descend(model.weights, x, y)
            callbacks.on_minibatch_end(epoch, minibatch)
            if callbacks.should_stop():
                break
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()


SUBJECT = Subject("six calls", LinearModel, train, has_loss=False, needs_guard=True)
