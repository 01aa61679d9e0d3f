from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from trainsignal.errors import ConfigurationError, MissingPackageError
from trainsignal.relay.settings import Relay

URL = "redis://:hidden@host"


def test_password_is_in_no_text_of_the_settings() -> None:
    relay = Relay(URL, run_name="mine")
    for text in (repr(relay), str(relay), f"{relay}"):
        assert text == "Relay('redis://:***@host', run_name='mine')"


def test_settings_may_be_as_the_user_likes() -> None:
    Relay(URL, "a run", ("mine",), ["cost/train"], True, 1, 1, 0)
    Relay(URL, signals={"mine"}, series=(), closing_s=3600.0)
    assert Relay(URL, closing_s=np.float32(0.5)).closing_s == 0.5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"url": "http://:hidden@host"}, "url='http"),
        ({"run_name": "a/b"}, "run_name='a/b'"),
        ({"run_name": ""}, "run_name=''"),
        ({"signals": "mine"}, r"signals='mine': expected a tuple of names, such as \('mine',\)"),
        ({"series": "cost/train"}, "series='cost/train': expected a tuple"),
        ({"signals": ("mine", "epoch_end")}, "signals='epoch_end'.*of your own"),
        ({"signals": ("minibatches",)}, "signals='minibatches'"),
        ({"queue_size": 0}, "queue_size=0: expected an int of at least 1"),
        ({"queue_size": 1.5}, "queue_size=1.5"),
        ({"trimmed_to": True}, "trimmed_to=True"),
        ({"closing_s": -1}, "closing_s=-1: expected seconds"),
        ({"closing_s": float("nan")}, "closing_s=nan"),
        ({"closing_s": "5s"}, "closing_s='5s': expected seconds, a number from 0 to 3600"),
        ({"closing_s": True}, "closing_s=True: expected seconds"),
        ({"allow_remote_stop": "no"}, "allow_remote_stop='no': expected True or False"),
        ({"allow_remote_stop": 1}, "allow_remote_stop=1: expected True or False"),
        ({"url": 5}, "url=5: expected the address of a broker"),
        ({"run_name": 5}, "run_name=5: expected up to 100 letters"),
        ({"signals": 5}, "signals=5: expected a tuple of names"),
        ({"signals": ("mine", 5)}, r"signals=\('mine', 5\): expected a tuple of names, and 5 is none"),
        ({"signals": ("mine", ["a"])}, r"and \['a'\] is none"),
        ({"series": ""}, "series='': expected a tuple"),
        ({"series": b"cost"}, "series=b'cost': expected a tuple"),
        ({"series": 0}, "series=0: expected a tuple of names"),
        ({"series": (None,)}, r"series=\(None,\): expected a tuple of names, and None is none"),
        ({"series": ("",)}, "and '' is none"),
        ({"queue_size": "5"}, "queue_size='5': expected an int"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_at_once(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Relay(**{"url": URL, **wrong})
    assert "hidden" not in str(caught.value)


def test_missing_package_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingPackageError, match=r"The relay needs redis.*trainsignal\[relay\]"):
        Relay(URL)
