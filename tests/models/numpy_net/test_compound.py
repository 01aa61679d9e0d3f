from __future__ import annotations

import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net import Affine, Constant, Conv, Convolution, Gaussian, Rectlin, Sequential

INIT = Gaussian(scale=0.1)


@pytest.mark.parametrize(
    ("affine", "names"),
    [
        (Affine(4, INIT), ["Linear_0"]),
        (Affine(4, INIT, bias=Constant(0)), ["Linear_0", "Linear_0_bias"]),
        (
            Affine(4, INIT, bias=Constant(0), activation=Rectlin()),
            ["Linear_0", "Linear_0_bias", "Linear_0_Rectlin"],
        ),
        (
            Affine(4, INIT, batch_norm=True, activation=Rectlin()),
            ["Linear_0", "Linear_0_bnorm", "Linear_0_Rectlin"],
        ),
        (Affine(4, INIT, bias=Constant(0), name="hidden"), ["hidden", "hidden_bias"]),
    ],
    ids=["alone", "bias", "bias_activation", "batch_norm_activation", "named"],
)
def test_affine_becomes_the_layers_that_neon_makes_of_it(affine: Affine, names: list[str]) -> None:
    assert [layer.name for layer in Sequential([affine]).layers] == names


def test_bias_beside_batch_norm_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Leave out one of the two"):
        Affine(4, INIT, bias=Constant(0), batch_norm=True)


@pytest.mark.parametrize(
    ("conv", "names"),
    [
        (Conv((3, 3, 4), INIT), ["Convolution_0"]),
        (
            Conv((3, 3, 4), INIT, bias=Constant(0), activation=Rectlin()),
            ["Convolution_0", "Convolution_0_bias", "Convolution_0_Rectlin"],
        ),
        (
            Conv((3, 3, 4), INIT, batch_norm=True, activation=Rectlin()),
            ["Convolution_0", "Convolution_0_bnorm", "Convolution_0_Rectlin"],
        ),
        (Conv((3, 3, 4), INIT, batch_norm=True, name="eye"), ["eye", "eye_bnorm"]),
    ],
    ids=["alone", "bias_activation", "batch_norm_activation", "named"],
)
def test_conv_becomes_the_layers_that_neon_makes_of_it(conv: Conv, names: list[str]) -> None:
    assert [layer.name for layer in Sequential([conv]).layers] == names


def test_conv_hands_its_sizes_to_the_convolution() -> None:
    (layer,) = Conv((3, 2, 4), INIT, strides=2, padding=(1, 0))
    assert isinstance(layer, Convolution)
    assert layer.convparams == {
        "R": 3, "S": 2, "K": 4, "str_h": 2, "str_w": 2, "pad_h": 1, "pad_w": 0,
    }  # fmt: skip


def test_bias_beside_batch_norm_is_refused_in_a_conv() -> None:
    with pytest.raises(ConfigurationError, match="Leave out one of the two"):
        Conv((3, 3, 4), INIT, bias=Constant(0), batch_norm=True)
