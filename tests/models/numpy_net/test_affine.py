from __future__ import annotations

import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net import Affine, Constant, Gaussian, Rectlin, Sequential

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
