"""The random generators of Keras's backend."""

from __future__ import annotations

import keras
import pytest
import torch

from trainsignal.models.keras.random_state import get_random_state, set_random_state


def on(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)


def test_the_generator_of_pytorch_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "torch")
    state = get_random_state()
    first = torch.rand(3)

    set_random_state(state)

    assert torch.equal(torch.rand(3), first)


def test_other_backends_have_none_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "jax")

    assert get_random_state() == {}


@pytest.mark.parametrize(("saved_on", "loaded_on"), [("torch", "jax"), ("jax", "torch")])
def test_a_state_of_another_backend_is_passed_over(
    saved_on: str, loaded_on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, saved_on)
    state = get_random_state()
    on(monkeypatch, loaded_on)
    before = torch.get_rng_state()

    set_random_state(state)

    assert torch.equal(torch.get_rng_state(), before)
