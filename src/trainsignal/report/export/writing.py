"""Which format a path asks for, and what becomes of a file that is there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import MappingProxyType

from trainsignal.errors import ConfigurationError, did_you_mean
from trainsignal.files import check_target, keep_aside, replacing
from trainsignal.report.export.csv import write_csv
from trainsignal.report.export.json import write_json
from trainsignal.report.export.parquet import write_parquet
from trainsignal.report.export.tensorboard import write_events
from trainsignal.report.records import Run, Series

_WRITERS = MappingProxyType({".csv": write_csv, ".json": write_json, ".parquet": write_parquet})
_Write = Callable[[Run, Sequence[Series], Path], None]


def export_run(run: Run, target: Path, keys: Collection[str] | None = None) -> None:
    """Write the series of a run for another tool.

    A file that is at `target` is kept under a numbered name, and there is no moment at which a half-written
    one stands there.

    Args:
        run: any.
        target: a file that ends in ".csv", ".json" or ".parquet", or a folder for TensorBoard's events: one
            that exists, or a name without a suffix.
        keys: of the series to write; None: all.

    Raises:
        ConfigurationError: `target` is none of these, or its folder is missing; or a key is unknown.
        MissingPackageError: the package that writes this format is not installed.
        OSError: the disk is full, or the folder not writable.
    """
    chosen = run.series if keys is None else _chosen(run, keys)
    write = _WRITERS.get(target.suffix.lower())
    if write is not None:
        _write_file(write, run, chosen, target)
    elif target.is_dir() or not target.suffix:
        write_events(run, chosen, target)
    else:
        raise ConfigurationError(
            f"cannot export to {str(target)!r}: no format is called {target.suffix!r}. Name a file that ends "
            f"in {', '.join(_WRITERS)}, or a folder for TensorBoard's events."
        )


def _write_file(write: _Write, run: Run, series: Sequence[Series], target: Path) -> None:
    check_target(target, "the table")
    with replacing(target) as temporary:
        write(run, series, temporary)
        keep_aside(target)


def _chosen(run: Run, keys: Collection[str]) -> list[Series]:
    known = {one.key: one for one in run.series}
    for key in keys:
        if key not in known:
            raise ConfigurationError(
                f"{run.name!r} has no series {key!r}.{did_you_mean(key, known)} "
                "`trainsignal info --all` lists them."
            )
    return [known[key] for key in dict.fromkeys(keys)]
