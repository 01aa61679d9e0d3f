from __future__ import annotations

import numpy as np

from trainsignal.distributed import Communicator, SingleProcess


def test_one_process_is_rank_0_of_1() -> None:
    communicator: Communicator = SingleProcess()

    assert (communicator.name, communicator.rank, communicator.size) == ("one process", 0, 1)


def test_sum_of_one_is_a_copy_of_its_values() -> None:
    communicator = SingleProcess()
    communicator.open()
    values = np.array([1.5, np.nan])
    pending = communicator.start_sum(values)
    values[:] = 0
    communicator.close()
    communicator.close()

    assert pending.is_done()
    np.testing.assert_array_equal(pending.result(), [1.5, np.nan])


def test_gathered_row_of_one_is_a_copy_of_its_row() -> None:
    row = np.array([7, 255], np.uint8)
    pending = SingleProcess().start_gather(row)
    row[:] = 0

    assert pending.is_done()
    assert pending.result().dtype == np.uint8
    assert pending.result().tolist() == [[7, 255]]
