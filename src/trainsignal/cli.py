"""The `trainsignal` command.

    trainsignal demo [options]               train a small network on scikit-learn's digits
    trainsignal report RUN.h5 [RUN2.h5 ...]  one page of a run, or of several compared
    trainsignal view PATH                    the same while the run goes on; of a folder, its runs
    trainsignal info RUN.h5 [RUN2.h5 ...]    a run in the terminal
    trainsignal export RUN.h5 -o OUT         the series for other tools
    trainsignal listen redis://HOST          the signals of runs on other machines
    trainsignal view redis://HOST            those runs in the browser
    trainsignal stop redis://HOST --run NAME --reason TEXT   ask one of them to stop

What a subcommand needs is imported when it runs. Of `demo` no more than the name is parsed here: it is
`examples/digits_mlp.py`, a script to copy, with options as neon's scripts have them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import trainsignal
from trainsignal.errors import TrainSignalError
from trainsignal.remote import command_line
from trainsignal.report.browser import open_in_browser
from trainsignal.report.naming import distinct_archives, distinct_names
from trainsignal.report.records import Run
from trainsignal.report.terminal_text import literal
from trainsignal.report.timeline import AXES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    0; 1 for an error of ours, or of a file; 2 for a wrong command line; 130 after Ctrl-C. A reader of the
    output that goes away, as `head` does, is no error.

    Args:
        arguments: the words after `trainsignal`; None takes those of this process.
    """
    options, rest = _parser().parse_known_args(arguments)
    if options.command == "demo":
        return _demo(rest)
    if rest:
        options.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
    except (TrainSignalError, OSError) as error:
        _say(f"trainsignal {options.command}: {error}", error=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trainsignal", description="An event bus for machine-learning training loops."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {trainsignal.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "demo",
        help="train a small network on handwritten digits (trainsignal demo --help tells its options)",
        add_help=False,
    )
    for name, purpose, add_options in (
        ("report", "make a page of a run, or of several compared", _add_report),
        ("view", "show a run in the browser while it goes on", _add_view),
        ("info", "show a run in the terminal", _add_info),
        ("export", "write the series of a run for other tools", _add_export),
        ("listen", "hear the runs on other machines that a broker relays", _add_listen),
        ("stop", "ask a run on another machine to stop", _add_stop),
    ):
        command = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        command.set_defaults(parser=command)
        add_options(command)
    return parser


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archives", nargs="*", type=Path, metavar="RUN.h5", help="archives, also neon's")
    parser.add_argument(
        "-i",
        "--input",
        action="append",
        default=[],
        type=Path,
        metavar="RUN.h5",
        help="the same, as for nvis",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="PLACE",
        help="the page, if it ends in .html or .htm, or a folder for it (default: here)",
    )  # fmt: skip
    _add_page_options(parser)
    parser.set_defaults(run=_report)


def _add_view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path",
        metavar="PATH",
        help="an archive, a folder of archives, or the broker of a relay: redis://HOST",
    )
    parser.add_argument("--port", type=_port, metavar="N", help="where to listen; 0: any that is free")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: %(default)s, this machine alone)"
    )
    _add_page_options(parser)
    parser.set_defaults(run=_view)


def _add_info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archives", nargs="+", type=Path, metavar="RUN.h5", help="archives, also neon's")
    parser.add_argument("--all", action="store_true", help="show every series, however many there are")
    parser.add_argument("--no-charts", action="store_true", help="draw no charts")
    parser.set_defaults(run=_info)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "%(prog)s [-h] RUN.h5 -o OUT [--series KEY ...]"  # keys come last: they take all that follow
    )
    parser.add_argument("archive", type=Path, metavar="RUN.h5", help="an archive, also neon's")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT",
        help="a file that ends in .csv, .json or .parquet, or a folder for TensorBoard",
    )  # fmt: skip
    parser.add_argument(
        "--series",
        nargs="+",
        action="extend",
        metavar="KEY",
        help="only these, such as cost/train (default: all)",
    )
    parser.set_defaults(run=_export)


def _add_listen(parser: argparse.ArgumentParser) -> None:
    command_line.add_listen(parser)
    parser.set_defaults(run=_listen)


def _add_stop(parser: argparse.ArgumentParser) -> None:
    command_line.add_stop(parser)
    parser.set_defaults(run=_stop)


def _add_page_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--axis", choices=AXES, default="epoch", help="what to draw against (default: epoch)")
    parser.add_argument("--open", action="store_true", help="show the page in the browser right away")


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 2**16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: expected a number from 0 to 65535")


def _report(options: argparse.Namespace) -> None:
    from trainsignal.report.pages.static import write_report  # Bokeh takes its time

    archives = [*options.archives, *options.input]
    if not archives:
        options.parser.error("expected an archive: trainsignal report RUN.h5")
    distinct = distinct_archives(archives)
    runs = _read(distinct, drawings=len(distinct) == 1)  # nothing but series is compared
    page = write_report(runs, options.output, options.axis)
    _say(str(page))
    if options.open and not open_in_browser(page.resolve().as_uri()):
        _say(f"no browser could be opened: open {page} yourself")


def _view(options: argparse.Namespace) -> None:
    if command_line.is_broker(options.path):
        command_line.run_view(options, _say)
        return
    from trainsignal.report.pages.live import PORT, serve  # as above

    port, path = PORT if options.port is None else options.port, Path(options.path)
    serve(path, host=options.host, port=port, axis=options.axis, open_browser=options.open, tell=_say)


def _info(options: argparse.Namespace) -> None:
    from trainsignal.report.info import describe

    width = shutil.get_terminal_size().columns
    texts = [
        describe(
            run,
            width=width,
            encoding=sys.stdout.encoding or "utf-8",
            charts=not options.no_charts,
            every_series=options.all,
        )
        for run in _read(distinct_archives(options.archives), drawings=False)
    ]
    _say("\n\n\n".join(texts))


def _export(options: argparse.Namespace) -> None:
    from trainsignal.report.export.writing import export_run

    (run,) = _read([options.archive], drawings=False)
    export_run(run, options.output, options.series)
    _say(
        f"{len(run.series) if options.series is None else len(set(options.series))} series: {options.output}"
    )


def _listen(options: argparse.Namespace) -> None:
    command_line.run_listen(options, _say)


def _stop(options: argparse.Namespace) -> None:
    command_line.run_stop(options, _say)


def _read(paths: Sequence[Path], *, drawings: bool) -> list[Run]:
    """Return the runs of different archives, under names that tell them apart; drawings as of `read_run`."""
    from trainsignal.report.reading import read_run

    names = distinct_names(paths)
    return [read_run(path, name=name, drawings=drawings) for path, name in zip(paths, names, strict=True)]


def _demo(arguments: Sequence[str]) -> int:
    try:
        from trainsignal import demo  # the demo alone needs scikit-learn
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "sklearn":
            raise
        _say(
            "the demo trains on scikit-learn's digits, and scikit-learn is not installed. "
            "Install it with: pip install 'trainsignal[demo]'",
            error=True,
        )
        return 1
    try:
        demo.main(arguments)
    except TrainSignalError as error:
        _say(f"trainsignal demo: {error}", error=True)
        return 1
    except KeyboardInterrupt:
        _say("trainsignal demo: interrupted; what was done is saved", error=True)
        return 130
    return 0


def _say(text: str, *, error: bool = False) -> None:
    """Print `text`, with escapes for what its terminal's encoding lacks, or what would steer a terminal."""
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    print("\n".join(literal(line, encoding) for line in text.split("\n")), file=stream)


def _drop_output() -> None:
    """Have Python write nothing more to a reader that is gone, also not when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
