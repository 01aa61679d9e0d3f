"""What a checkpoint holds of a module, its optimizers and schedulers, and the way back.

Tensors become NumPy arrays of the same numbers; the structure of each state dict stays PyTorch's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from trainsignal.checkpoint.bits import is_bits
from trainsignal.checkpoint.tree import is_array, is_mapping, is_sequence
from trainsignal.errors import CheckpointError
from trainsignal.models.torch.framework import torch
from trainsignal.models.torch.tensors import check_holds_numbers, exact_copy, tensor_of, tensor_of_bits
from trainsignal.plain_values import KIND, NotPlainError, decode, encode

_ARRAY: Final = "numpy array, no tensor"
"""The key of a dict that stands for an array that was no tensor."""


class _Encoder:
    """Makes one checkpoint; tensors that are the same part of the same memory become one array."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[Any, Any]] = {}
        """By their place in memory: tensors, held so that no other one gets that place, and their copies."""

    def encoded(self, value: Any, path: str) -> Any:
        """Return `value` as plain values and arrays.

        Raises:
            CheckpointError: it is, or holds, something that no checkpoint can; `path` says where.
        """
        if isinstance(value, torch.Tensor):
            return self._tensor(value, path)
        if is_array(value):
            return {_ARRAY: value.copy()}
        if _is_simple_dict(value):
            return {key: self.encoded(child, f"{path}/{key}") for key, child in value.items()}
        if is_sequence(value) and not hasattr(
            value, "_fields"
        ):  # a named tuple would come back without names
            children = [self.encoded(child, f"{path}/{place}") for place, child in enumerate(value)]
            return children if isinstance(value, list) else tuple(children)
        try:
            return encode(value)
        except NotPlainError as error:
            raise CheckpointError(
                f"{path}: {error}, so that no checkpoint can hold it. Have state_dict() or get_extra_state() "
                "return tensors and plain values."
            ) from error

    def _tensor(self, tensor: Any, path: str) -> Any:
        try:
            check_holds_numbers(tensor)
        except TypeError as error:
            raise CheckpointError(f"{path}: no checkpoint can hold {error}") from error
        place = (tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride())
        if place not in self._known:
            self._known[place] = tensor, exact_copy(tensor)
        return self._known[place][1]


def _is_simple_dict(value: Any) -> bool:
    """Return whether it is a dict of which nothing is lost by its items."""
    kind = cast("Any", type(value))
    return (
        kind is dict
        and all(isinstance(key, str | int) and not isinstance(key, bool) for key in value)
        and KIND not in value
    )


def _decoded(value: Any) -> Any:
    """Return what `_Encoder.encoded` was given."""
    if is_array(value):
        return tensor_of(value)
    if is_bits(value):
        return tensor_of_bits(value)
    if is_mapping(value):
        if KIND in value:
            return decode(value)
        if set(value) == {_ARRAY} and is_array(value[_ARRAY]):
            return value[_ARRAY].copy()
        return {key: _decoded(child) for key, child in value.items()}
    if is_sequence(value):
        children = (_decoded(child) for child in value)
        return list(children) if isinstance(value, list) else tuple(children)
    return value


def states_of(module: Any, optimizers: Iterable[Any], schedulers: Iterable[Any]) -> dict[str, Any]:
    """Return the state dicts of all, as plain values and array copies.

    Raises:
        CheckpointError: one holds something that no checkpoint can.
    """
    encoder = _Encoder()
    return {
        "module": encoder.encoded(dict(module.state_dict()), "module"),
        "optimizers": [
            encoder.encoded(one.state_dict(), f"optimizers/{place}") for place, one in enumerate(optimizers)
        ],
        "schedulers": [
            encoder.encoded(one.state_dict(), f"schedulers/{place}") for place, one in enumerate(schedulers)
        ],
    }


def module_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a module's state dict from a checkpoint; one that holds nothing else is that state dict."""
    found: Any = state.get("module", state)
    if not is_mapping(found):
        raise CheckpointError("its entry 'module' is no state dict")
    return {str(name): _decoded(value) for name, value in found.items()}


def member_states(state: Mapping[str, Any], kind: str, members: tuple[Any, ...]) -> list[Any] | None:
    """Return the state dict of each optimizer or scheduler; None where the checkpoint was saved without them.

    Args:
        state: of the checkpoint.
        kind: "optimizers" or "schedulers".
        members: those of the model.

    Raises:
        CheckpointError: it has another number of them.
    """
    found: Any = state.get(kind)
    if found is None:
        return None
    if len(found) != len(members):
        raise CheckpointError(
            f"the checkpoint holds the state of {len(found)} {kind}, and the model has {len(members)}: give "
            f"TorchModel those that it was saved with, in their order, or load it with load_states=False"
        )
    return [_decoded(one) for one in found]


def check_module(module: Any, saved: Mapping[str, Any]) -> None:
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


def check_optimizer(optimizer: Any, saved: Any, place: int) -> None:
    """Refuse the state of an optimizer with other groups of parameters.

    Raises:
        CheckpointError: their number or sizes differ.
    """
    try:
        sizes = [len(group["params"]) for group in saved["param_groups"]]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"optimizers/{place} is no optimizer's state: {error!r}") from error
    own = [len(group["params"]) for group in optimizer.param_groups]
    if sizes != own:
        raise CheckpointError(
            f"optimizers/{place}: the checkpoint has groups of {sizes} parameters, and the "
            f"{type(optimizer).__name__} of {own}. Load it with load_states=False to take the module alone."
        )


def load_optimizer(optimizer: Any, saved: Any) -> None:
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
    if not isinstance(value, torch.Tensor) or torch.nn.parameter.is_lazy(value):
        return None
    return tuple(value.shape)


def _listed(heading: str, items: list[str]) -> list[str]:
    if not items:
        return []
    more = f" and {len(items) - 5} more" if len(items) > 5 else ""
    return [f"{heading}: {', '.join(items[:5])}{more}"]
