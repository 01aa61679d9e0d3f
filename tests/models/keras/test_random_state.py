"""The random generators of Keras's backend."""

from __future__ import annotations

import logging

import keras
import numpy as np
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


def test_a_gpu_that_nobody_uses_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: 1 / 0)  # it would begin to use them

    assert "cuda" not in get_random_state()


def test_a_gpu_that_is_not_there_any_more_is_told_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, "torch")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)

    with caplog.at_level(logging.WARNING):
        set_random_state({**get_random_state(), "cuda": [np.zeros(16, np.uint8)]})

    assert "of 1 GPUs were saved, and there are 0" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_random_numbers_of_a_gpu_are_drawn_again_after_a_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "torch")
    torch.rand(1, device="cuda")
    state = get_random_state()
    drawn = torch.rand(3, device="cuda")

    set_random_state(state)

    assert torch.equal(torch.rand(3, device="cuda"), drawn)
