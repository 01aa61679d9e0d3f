"""Handlers and callbacks by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainsignal import Callback, EarlyStopCallback
from trainsignal.errors import ConfigurationError
from trainsignal.remote.loading import folder_importable, is_callback_class, load

MODULE = """
from trainsignal import Callback, CSVCallback

VALUE = 7

def tell(epoch): ...

class Mine(Callback): ...

class Outer:
    class Table(CSVCallback):
        def __init__(self):
            super().__init__("a.csv")
"""


@pytest.fixture
def module(tmp_path: Path) -> Iterator[str]:
    """Yield the name of a module that is importable."""
    (tmp_path / "mine_for_tests.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "broken_for_tests.py").write_text("import nowhere_to_be_found", encoding="utf-8")
    before = list(sys.path)
    with folder_importable(tmp_path):
        yield "mine_for_tests"
    assert sys.path == before
    sys.modules.pop("mine_for_tests", None)


def test_function_and_classes_are_found(module: str) -> None:
    assert load(f"{module}:tell").__name__ == "tell"
    assert is_callback_class(load(f"{module}:Mine")) and is_callback_class(load(f"{module}:Outer.Table"))
    assert not is_callback_class(load(f"{module}:tell")) and not is_callback_class(load(f"{module}:Outer"))
    assert isinstance(load(f"{module}:Mine")(), Callback)


@pytest.mark.parametrize(
    "name, words",
    [
        ("mine", "expected module:function"),
        (":tell", "expected module:function"),
        ("mine:", "expected module:function"),
        ("mine_for_test:tell", "there is no module 'mine_for_test'"),
        ("mine_for_tests.part:tell", "there is no module 'mine_for_tests.part'"),
        ("mine_for_tests:tel", "has no 'tel'. Did you mean 'tell'"),
        ("mine_for_tests:Outer.Tabel", "has no 'Tabel'. Did you mean 'Table'"),
        ("mine_for_tests:VALUE", "is int, not something to call"),
    ],
)
def test_name_of_nothing_says_what_is_wrong(module: str, name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load(name)


def test_class_that_needs_arguments_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be made without arguments.*stop_func"):
        load(f"{EarlyStopCallback.__module__}:EarlyStopCallback")


def test_module_that_needs_another_says_so_itself(module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        load("broken_for_tests:tell")
