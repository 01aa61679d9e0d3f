"""Loading state dicts into a module, its optimizers and schedulers: all of them, or none.

What can be known before is checked before; what a member refuses on loading leaves all as they were.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, cast

from trainsignal.checkpoint.tree import is_mapping, is_sequence
from trainsignal.errors import CheckpointError
from trainsignal.models.torch.framework import torch
from trainsignal.models.torch.state import decoded

_ELEMENTWISE: Final = frozenset((
    "ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Muon", "NAdam", "RAdam", "RMSprop", "Rprop",
    "SGD",
))  # fmt: skip
"""The optimizers of PyTorch each of whose tensors of state has the shape of its parameter, or none."""

_REMEDY: Final = "Load the checkpoint with load_states=False to take the module alone."

is_lazy: Final[Callable[[object], bool]] = torch.nn.parameter.is_lazy


def load(
    module: Any,
    optimizers: Sequence[Any],
    schedulers: Sequence[Any],
    state: Mapping[str, Any],
    *,
    load_states: bool,
) -> None:
    """Load what `states_of` returned; nothing changes unless everything fits.

    Args:
        module: the module.
        optimizers: as many as there were.
        schedulers: the same.
        state: of a checkpoint, or a module's state dict alone.
        load_states: also of optimizers and schedulers, if the checkpoint has them.

    Raises:
        CheckpointError: it is of another architecture, or of other optimizers, or damaged.
    """
    saved = _module_state(state)
    _check_module(module, saved)
    of_optimizers = _member_states(state, "optimizers", optimizers) if load_states else []
    of_schedulers = _member_states(state, "schedulers", schedulers) if load_states else []
    for place, (one, its) in enumerate(zip(optimizers, of_optimizers, strict=False)):
        _check_optimizer(one, its, f"optimizers/{place}")
    with contextlib.ExitStack() as loaded:
        weights = {name: copy.deepcopy(one) for name, one in module.state_dict().items() if not is_lazy(one)}
        loaded.enter_context(_as_before_if_it_fails(module, "module", weights, strict=False))
        module.load_state_dict(saved)
        for place, (one, its) in enumerate(zip(optimizers, of_optimizers, strict=False)):
            loaded.enter_context(_as_before_if_it_fails(one, f"optimizers/{place}", _copied(one)))
            _load_optimizer(one, its)
        for place, (one, its) in enumerate(zip(schedulers, of_schedulers, strict=False)):
            loaded.enter_context(_as_before_if_it_fails(one, f"schedulers/{place}", _copied(one)))
            one.load_state_dict(its)


def _copied(member: Any) -> Any:
    return copy.deepcopy(member.state_dict())


@contextlib.contextmanager
def _as_before_if_it_fails(member: Any, what: str, before: Any, **how: Any) -> Generator[None]:
    """Give a member its state back if what is done inside the `with` block fails.

    Args:
        member: has `load_state_dict`.
        what: its place in the checkpoint, for the message.
        before: its state.
        how: keywords for `load_state_dict` when that is put back.

    Raises:
        CheckpointError: what failed, unless that is a CheckpointError already.
    """
    try:
        yield
    except BaseException as error:
        try:
            member.load_state_dict(before, **how)
        except Exception as failure:  # noqa: BLE001  # a member of the user's; what it refused first is raised
            error.add_note(f"and the {type(member).__name__} does not take its own state back: {failure}")
        if isinstance(error, CheckpointError) or not isinstance(error, Exception):
            raise
        raise CheckpointError(
            f"the {type(member).__name__} does not take {what!r} of the checkpoint "
            f"({type(error).__name__}: {error})"
        ) from error


def _module_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a module's state dict from a checkpoint; one that holds nothing else is that state dict."""
    found: Any = state.get("module", state)
    if not is_mapping(found):
        raise CheckpointError("its entry 'module' is no state dict")
    return {str(name): decoded(value, f"module/{name}") for name, value in found.items()}


def _member_states(state: Mapping[str, Any], kind: str, members: Sequence[Any]) -> list[Any]:
    """Return the state dict of each optimizer or scheduler; none where the checkpoint was saved without them.

    Args:
        state: of the checkpoint.
        kind: "optimizers" or "schedulers".
        members: those of the model.

    Raises:
        CheckpointError: it has another number of them, or they are damaged.
    """
    found: Any = state.get(kind)
    if found is None:
        return []
    if not is_sequence(found):
        raise CheckpointError(f"its entry {kind!r} is no list of states")
    if len(found) != len(members):
        raise CheckpointError(
            f"the checkpoint holds the state of {len(found)} {kind}, and the model has {len(members)}: give "
            f"TorchModel those that it was saved with, in their order, or load it with load_states=False"
        )
    return [decoded(one, f"{kind}/{place}") for place, one in enumerate(found)]


def _check_module(module: Any, saved: Mapping[str, Any]) -> None:
    """Refuse the state dict of a module of another architecture.

    Raises:
        CheckpointError: names or shapes differ.
    """
    own: dict[str, Any] = module.state_dict()
    differences = [
        *_listed("only in the checkpoint", [name for name in saved if name not in own]),
        *_listed("only in the module", [name for name in own if name not in saved]),
        *_listed("of other shapes", [
            f"{name} ({_shape(saved[name])} in the checkpoint, {_shape(tensor)} in the module)"
            for name, tensor in own.items()
            if name in saved and _shape(tensor) not in (None, _shape(saved[name]))
        ]),
    ]  # fmt: skip
    if differences:
        raise CheckpointError(
            f"the checkpoint is of another architecture than the {type(module).__name__}: "
            f"{'; '.join(differences)}"
        )


def _check_optimizer(optimizer: Any, saved: Any, what: str) -> None:
    """Refuse the state of an optimizer of other parameters.

    Raises:
        CheckpointError: their number or groups differ, or shapes of which it is known that they may not;
            `what` says whose in the checkpoint.
    """
    own: list[list[Any]] = [group["params"] for group in optimizer.param_groups]
    try:
        groups: list[list[int]] = [list(group["params"]) for group in saved["param_groups"]]
        _check_kind(optimizer, saved, what)
        if [len(group) for group in groups] == [len(group) for group in own]:
            if _is_elementwise(optimizer):
                parameters = zip(itertools.chain(*groups), itertools.chain(*own), strict=True)
                _check_shapes(dict(parameters), saved["state"], f"{what} of {type(optimizer).__name__}")
            return
    except (AttributeError, LookupError, TypeError) as error:
        raise CheckpointError(f"{what} is no optimizer's state: {error!r}") from error
    raise CheckpointError(
        f"{what}: the checkpoint has groups of {[len(group) for group in groups]} parameters, and the "
        f"{type(optimizer).__name__} of {[len(group) for group in own]}. {_REMEDY}"
    )


def _check_kind(optimizer: Any, saved: Any, what: str) -> None:
    """Refuse the state of an optimizer of another kind; one of another version of PyTorch may lack settings.

    Raises:
        CheckpointError: each has settings that the other lacks.
    """
    for group, other in zip(optimizer.param_groups, saved["param_groups"], strict=False):
        own, theirs = group.keys() - other.keys(), other.keys() - group.keys() - {"initial_lr"}
        if own - {"initial_lr"} and theirs:
            raise CheckpointError(
                f"{what} is of another kind than the model's {type(optimizer).__name__}: it has "
                f"{', '.join(sorted(theirs))}, and lacks {', '.join(sorted(own))}. {_REMEDY}"
            )


def _is_elementwise(optimizer: Any) -> bool:
    kind = cast("Any", type(optimizer))
    return kind.__module__.startswith("torch.optim.") and kind.__name__ in _ELEMENTWISE


def _check_shapes(parameters: Mapping[Any, Any], states: Mapping[Any, Any], what: str) -> None:
    """Compare the tensors of an elementwise optimizer's state with its parameters.

    Args:
        parameters: by their numbers in the checkpoint.
        states: of each of these, by its number.
        what: of whom, for the message.

    Raises:
        CheckpointError: one has another shape than its parameter.
    """
    for number, state in states.items():
        own = tuple(parameters[number].shape)
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.ndim and tuple(value.shape) != own:
                raise CheckpointError(
                    f"{what}: {name!r} of parameter {number} has the shape {tuple(value.shape)} in the "
                    f"checkpoint, and the parameter {own}. Make the optimizer with its parameters in their "
                    f"order of then. {_REMEDY}"
                )


def _load_optimizer(optimizer: Any, saved: Any) -> None:
    """Load a checked state; learning rates that are tensors stay on their device."""
    devices = [
        {name: value.device for name, value in group.items() if isinstance(value, torch.Tensor)}
        for group in optimizer.param_groups
    ]
    for group, device_of in zip(saved["param_groups"], devices, strict=True):
        for name in device_of.keys() & group.keys():
            group[name] = torch.as_tensor(group[name]).to(device_of[name])
    optimizer.load_state_dict(saved)


def _shape(value: Any) -> tuple[int, ...] | None:
    """Return the shape of a tensor; None where there is none, or none yet."""
    if not isinstance(value, torch.Tensor) or is_lazy(value):
        return None
    return tuple(value.shape)


def _listed(heading: str, items: list[str]) -> list[str]:
    if not items:
        return []
    more = f" and {len(items) - 5} more" if len(items) > 5 else ""
    return [f"{heading}: {', '.join(items[:5])}{more}"]
