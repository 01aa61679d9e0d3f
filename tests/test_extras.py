from __future__ import annotations

import contextlib
import importlib.metadata
import json
import sys
from types import ModuleType

import pytest

from trainsignal.errors import ConfigurationError, MissingPackageError
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


@pytest.mark.parametrize("installed", ["2.2", "2.2.0", "2.10.1", "3", "2.13.0+cpu", "2.3rc1", "10.0"])
def test_version_that_is_new_enough_will_do(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda package: installed)
    assert require("json", "nothing", "a test", at_least="2.2") is json


@pytest.mark.parametrize("installed", ["2.1", "2.1.9", "1.10", "2", "2.1.0+cu121", "2.1.dev0"])
def test_version_that_is_too_old_is_named_with_the_extra_that_brings_another(
    installed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda package: installed)
    with pytest.raises(MissingPackageError) as caught:
        require("json.decoder", "pictures", "drawing", at_least="2.2")
    assert str(caught.value) == (
        f"drawing needs json 2.2 or later, not {installed}. "
        'Install it with: pip install "trainsignal[pictures]"'
    )


def test_version_is_that_of_the_package_and_not_of_its_module() -> None:
    assert require("h5py", "nothing", "a test", at_least="3.0") is not None
    with pytest.raises(MissingPackageError, match=r"h5py 99 or later, not 3\."):
        require("h5py", "nothing", "a test", at_least="99")


@pytest.mark.parametrize("told, will_do", [("2.5", True), ("2.1", False), (None, True), ("unknown", False)])
def test_package_under_another_name_tells_its_version_itself(
    told: str | None, will_do: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("odd_one")
    if told is not None:
        monkeypatch.setattr(module, "__version__", told, raising=False)
    monkeypatch.setitem(sys.modules, "odd_one", module)
    with contextlib.nullcontext() if will_do else pytest.raises(MissingPackageError, match=r"odd_one 2\.2"):
        assert require("odd_one", "nothing", "a test", at_least="2.2") is module


def test_missing_package_is_an_error_of_the_configuration_and_an_import_error() -> None:
    assert issubclass(MissingPackageError, ConfigurationError)
    assert issubclass(MissingPackageError, ImportError)
