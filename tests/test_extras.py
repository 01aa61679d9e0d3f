from __future__ import annotations

import json

import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.extras import require


def test_module_that_is_there_is_imported() -> None:
    assert require("json", "nothing", "a test") is json


def test_missing_package_is_named_with_the_extra_that_brings_it() -> None:
    with pytest.raises(
        ConfigurationError, match=r"drawing needs absent_package\. Install it with: "
    ) as caught:
        require("absent_package.inner", "pictures", "drawing")
    assert 'pip install "trainsignal[pictures]"' in str(caught.value)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
