"""The tree of exceptions."""

import builtins
import re

import pytest

from trainsignal import errors


def classes() -> dict[str, type[Exception]]:
    return {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}


def test_each_is_ours_and_a_builtin() -> None:
    for name, kind in classes().items():
        assert issubclass(kind, errors.TrainSignalError), name
        assert kind.__doc__, name
        if kind is not errors.TrainSignalError:
            builtin = [base for base in kind.__mro__ if hasattr(builtins, base.__name__)]
            assert builtin[0] is not Exception, name


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)(?: +\((\w+)\))?", errors.__doc__ or "")

    assert {name for name, _ in drawn} == set(classes()) - {"TrainSignalError"}
    for name, builtin in drawn:
        if builtin:
            assert issubclass(classes()[name], getattr(builtins, builtin))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("epoch_ned", " Did you mean 'epoch_end'?"),
        ("epoch_bgin", " Did you mean 'epoch_begin'?"),
        ("EPOCH_END", " Did you mean 'epoch_end'?"),
        ("loss", ""),
    ],
)
def test_nearest_known_name_is_offered(name: str, hint: str) -> None:
    assert errors.did_you_mean(name, iter(["epoch_begin", "epoch_end"])) == hint


def test_cutoff_says_how_near_a_name_must_be() -> None:
    """Twice the 2 letters in common, divided by 6 letters, is 2/3."""
    assert errors.did_you_mean("abc", ["abd"], cutoff=0.66) == " Did you mean 'abd'?"
    assert errors.did_you_mean("abc", ["abd"], cutoff=0.67) == ""
