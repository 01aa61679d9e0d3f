"""The data that callbacks share: an `h5py.File` in memory, archived atomically; imports no bus and no run."""

from trainsignal.shared_data.buffered import BufferedDataset
from trainsignal.shared_data.continuation import Moment
from trainsignal.shared_data.file import SharedData
from trainsignal.shared_data.group import SharedGroup
from trainsignal.shared_data.series import free_key, planned_rows
from trainsignal.shared_data.store import SeriesHandler, SeriesSubscription, Stamp
from trainsignal.shared_data.table import append_row, find_table, put_rows

__all__ = [
    "BufferedDataset",
    "Moment",
    "SeriesHandler",
    "SeriesSubscription",
    "SharedData",
    "SharedGroup",
    "Stamp",
    "append_row",
    "find_table",
    "free_key",
    "planned_rows",
    "put_rows",
]
