"""Describes the parts of a network as plain values: {"type": ..., "config": ...}, as neon does."""

from __future__ import annotations

from dataclasses import fields, is_dataclass


def type_name(part: object) -> str:
    """Return the dotted path of the class of `part`."""
    return f"{type(part).__module__}.{type(part).__qualname__}"


def describe(part: object) -> dict[str, object]:
    """Return the class of `part` and, where it is a dataclass, the arguments that make its like."""
    config: dict[str, object] = {}
    if is_dataclass(part):
        for field in fields(part):
            if field.init:
                value = getattr(part, field.name)
                config[field.name] = describe(value) if is_dataclass(value) else value
    return {"type": type_name(part), "config": config}
