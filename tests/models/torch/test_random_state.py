from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from trainsignal.models.torch import random_state


def test_random_numbers_are_drawn_again_after_a_restore() -> None:
    state = random_state.capture()
    drawn = torch.rand(3)

    random_state.restore(state)

    assert torch.equal(torch.rand(3), drawn)


def test_the_state_is_an_array_that_later_draws_do_not_change() -> None:
    state = random_state.capture()
    before = state["cpu"].copy()

    torch.rand(3)

    assert isinstance(state["cpu"], np.ndarray) and state["cpu"].dtype == np.uint8
    np.testing.assert_array_equal(state["cpu"], before)


def test_a_gpu_that_is_not_there_any_more_is_told_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)

    with caplog.at_level(logging.WARNING):
        random_state.restore({**random_state.capture(), "cuda": [np.zeros(16, np.uint8)]})

    assert "of 1 GPUs were saved, and there are 0" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_random_numbers_of_a_gpu_are_drawn_again_after_a_restore() -> None:
    torch.rand(1, device="cuda")
    state = random_state.capture()
    drawn = torch.rand(3, device="cuda")

    random_state.restore(state)

    assert torch.equal(torch.rand(3, device="cuda"), drawn)
