"""The command-line options of neon's parser that concern callbacks, on argparse alone.

    parser = NeonArgparser(__doc__)
    args = parser.parse_args()
    callbacks = Callbacks(model, eval_set=valid_set, **args.callback_args)

or, with a parser of your own, `add_callback_arguments(parser)` and `callback_args(parser.parse_args())`.

    -o, --output_file FILE     HDF5 archive of what the callbacks compute
    -eval, --eval_freq N       evaluate every N epochs
    -s, --save_path FILE       save checkpoints there; each epoch, unless --serialize says otherwise
    --serialize [N]            save a checkpoint every N epochs (alone: 1); without -s to trainsignal_model.h5
    -H, --history N            how many checkpoints to keep
    --model_file FILE          checkpoint to start from; must be readable
    --resume                   go on from the checkpoint at --save_path, if there is one, in the same archive
    --checkpoint_every N|TIME  checkpoints within epochs too: every N minibatches, or each TIME (30m)
    --no_progress_bar          draw no progress bar; args.progress_bar is then False
    -e, --epochs N             how many epochs to train
    -z, --batch_size N         samples in a minibatch: args.batch_size, for the script
    -r, --rng_seed N           seed of the random numbers: args.rng_seed, for the script; None: not fixed
    -l, --log [FILE]           also log to FILE (alone: trainsignal_log.txt)
    -v, --verbose              log more: once INFO, twice DEBUG
    -c, --config FILE          options as lines `name = value`; NeonArgparser only, needs the extra "cli"

The command line comes before the file, the file before the defaults. As in neon, an option may be cut
short as long as it stays clear which is meant. neon's options for its hardware (-b, -i, -d, -m, -w) do
not exist here: they would do nothing. No file in the home folder is read, and none written there.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict, Unpack, cast

from trainsignal.config_file import read_words
from trainsignal.errors import ConfigurationError, FrequencyError, did_you_mean
from trainsignal.files import expand
from trainsignal.frequency import interval_seconds
from trainsignal.log_output import configure_logging

DEFAULT_SAVE_PATH = "trainsignal_model.h5"
DEFAULT_LOG_FILE = "trainsignal_log.txt"

_SEED_LIMIT = 2**32  # of NumPy's RandomState, which neon uses


class OptionDefaults(TypedDict, total=False):
    """The options whose defaults a script may set: neon's `default_overrides`."""

    batch_size: int
    epochs: int
    eval_freq: int | None
    history: int
    output_file: str | None
    rng_seed: int | None
    save_path: str | None
    serialize: int
    verbose: int


class CallbackArguments(TypedDict):
    """The options that are parameters of `Callbacks`."""

    eval_freq: int | None
    history: int
    model_file: str | None
    output_file: str | None
    progress_bar: bool
    resume: bool
    checkpoint_every: int | str | None
    save_path: str | None
    serialize: int


class NeonArgparser(argparse.ArgumentParser):
    """A parser that has neon's options for callbacks; more are added as to any parser.

    Args:
        description: what `--help` says about the script, as it stands; neon scripts pass `__doc__`.
        default_overrides: other defaults for options, by name (`OptionDefaults`).

    Raises:
        ConfigurationError: `default_overrides` names no option, or gives a value that it would refuse.
    """

    def __init__(
        self, description: str | None = None, default_overrides: OptionDefaults | None = None
    ) -> None:
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.add_argument("-c", "--config", metavar="FILE", help="options as lines `name = value`")
        add_callback_arguments(self, **(default_overrides or {}))

    def parse_args(  # pyright: ignore[reportIncompatibleMethodOverride]  # one signature for argparse's overloads
        self, args: Iterable[str] | None = None, namespace: Any = None
    ) -> Any:
        """Return the options, with `callback_args` for `Callbacks`; set up logging as they say.

        Prints what is wrong and exits with status 2 where an option or the file of `--config` is not valid.

        Args:
            args: the words of the command line; None takes those of this process.
            namespace: the object to set the options on; None makes a new one.
        """
        words = list(sys.argv[1:] if args is None else args)
        parsed = super().parse_args([*self._words_of_config(words), *words], namespace)
        parsed.callback_args = callback_args(parsed)
        parsed.save_path = parsed.callback_args["save_path"]
        parsed.serialize = parsed.callback_args["serialize"]
        try:
            configure_logging(parsed)
        except ConfigurationError as error:
            self.error(str(error))
        return parsed

    def _words_of_config(self, words: list[str]) -> list[str]:
        """Return the options of the file that `words` name with `--config`."""
        finder = argparse.ArgumentParser(add_help=False, exit_on_error=False)
        finder.add_argument("-c", "--config")
        try:
            path = finder.parse_known_args(words)[0].config
        except argparse.ArgumentError:  # no file is named: the real parser says so
            return []
        if path is None:
            return []
        try:
            # argparse has no public way to ask which options there are.
            return read_words(expand(path), self._option_string_actions)
        except ConfigurationError as error:
            self.error(f"argument -c/--config: {error}")


def add_callback_arguments(parser: argparse.ArgumentParser, **defaults: Unpack[OptionDefaults]) -> None:
    """Add neon's options for callbacks to `parser`, all but `--config`.

    Args:
        parser: any argparse parser that does not have these options yet.
        **defaults: other defaults for options, by name.

    Raises:
        ConfigurationError: no option has that name, or it would refuse the value.
    """
    _add_training_options(parser)
    _add_callback_options(parser)
    _add_logging_options(parser)
    for name, value in defaults.items():
        parser.set_defaults(**{name: _checked_default(name, value)})


def callback_args(namespace: argparse.Namespace) -> CallbackArguments:
    """Return those parsed options that are parameters of `Callbacks`, as in neon.

    A save path without a frequency saves each epoch; without a path, `DEFAULT_SAVE_PATH` is saved to and
    resumed from.

    Args:
        namespace: what a parser with `add_callback_arguments` returned.
    """
    values = {name: getattr(namespace, name) for name in CallbackArguments.__annotations__}
    if values["serialize"] or values["resume"] or values["checkpoint_every"]:
        values["save_path"] = values["save_path"] or DEFAULT_SAVE_PATH
    if values["save_path"]:
        values["serialize"] = values["serialize"] or 1
    return cast("CallbackArguments", values)


def _whole_number(minimum: int, below: int | None = None) -> Callable[[str], int]:
    """Return what turns the text of an option into an int, and refuses others."""
    expected = f"a whole number of at least {minimum}" + ("" if below is None else f" and below {below}")

    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = minimum - 1
        if number < minimum or (below is not None and number >= below):
            raise argparse.ArgumentTypeError(f"{text!r} is not {expected}.")
        return number

    return convert


def _count_or_interval(text: str) -> int | str:
    """Return a number of minibatches, or the text of an interval of time."""
    if text.isdecimal():
        return _whole_number(1)(text)
    try:
        interval_seconds(text)
    except FrequencyError as error:
        raise argparse.ArgumentTypeError(f"neither a number of minibatches nor a time: {error}") from error
    return text


def _readable_file(text: str) -> str:
    path = expand(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {str(path)!r}. Check the path.")
    if not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"the file {str(path)!r} is not readable. Change its permissions.")
    return text


_NUMBERS: Mapping[str, Callable[[str], int]] = {
    "batch_size": _whole_number(1),
    "epochs": _whole_number(1),
    "eval_freq": _whole_number(1),
    "history": _whole_number(0),
    "rng_seed": _whole_number(0, _SEED_LIMIT),
    "serialize": _whole_number(0),
    "verbose": _whole_number(0),
}
"""What checks and converts the options that are numbers."""


def _checked_default(name: str, value: object) -> object:
    known = OptionDefaults.__annotations__
    if name not in known:
        hint = did_you_mean(name, known) or f" Defaults can be set for {', '.join(known)}."
        raise ConfigurationError(f"no default can be set for {name!r}.{hint}")
    if value is None or name not in _NUMBERS:
        return value
    try:
        return _NUMBERS[name](str(value))
    except argparse.ArgumentTypeError as error:
        raise ConfigurationError(f"the default of {name} cannot be {value!r}: {error}") from error


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("training").add_argument
    add(
        "-e",
        "--epochs",
        type=_NUMBERS["epochs"],
        default=10,
        metavar="N",
        help="epochs to train (%(default)s)",
    )
    add(
        "-z",
        "--batch_size",
        type=_NUMBERS["batch_size"],
        default=128,
        metavar="N",
        help="samples a minibatch (%(default)s)",
    )
    add(
        "-r",
        "--rng_seed",
        type=_NUMBERS["rng_seed"],
        metavar="N",
        help="seed of the random numbers (not fixed)",
    )


def _add_callback_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("callbacks").add_argument
    add("-o", "--output_file", metavar="FILE", help="HDF5 archive of what the callbacks compute")
    add("-eval", "--eval_freq", type=_NUMBERS["eval_freq"], metavar="N", help="evaluate every N epochs")
    add("-s", "--save_path", metavar="FILE", help="save checkpoints there: each epoch, or see --serialize")
    add(
        "--serialize",
        type=_NUMBERS["serialize"],
        default=0,
        nargs="?",
        const=1,
        metavar="N",
        help=f"save a checkpoint every N epochs (alone: 1), to {DEFAULT_SAVE_PATH} without --save_path",
    )
    add(
        "-H",
        "--history",
        type=_NUMBERS["history"],
        default=1,
        metavar="N",
        help="checkpoints to keep (%(default)s)",
    )
    add("--model_file", type=_readable_file, metavar="FILE", help="checkpoint to start from")
    add(
        "--resume",
        action="store_true",
        help="go on from the checkpoint at --save_path, if there is one, with the same archive",
    )
    add(
        "--checkpoint_every",
        type=_count_or_interval,
        metavar="N|TIME",
        help="save checkpoints within epochs too: every N minibatches, or after each TIME (30m)",
    )
    add("--no_progress_bar", dest="progress_bar", action="store_false", help="draw no progress bar")


def _add_logging_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("logging").add_argument
    log_help = f"log to FILE ({DEFAULT_LOG_FILE})"
    add("-l", "--log", nargs="?", const=DEFAULT_LOG_FILE, metavar="FILE", help=log_help)
    add("-v", "--verbose", action="count", default=1, help="log more: once INFO, twice DEBUG")
