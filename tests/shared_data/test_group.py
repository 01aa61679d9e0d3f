from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trainsignal.shared_data import BufferedDataset, SharedData, SharedGroup


@pytest.fixture
def shared() -> SharedData:
    return SharedData()


WAYS: dict[str, Any] = {
    "path": lambda f: f["a/b"],
    "absolute path": lambda f: f["/a/b"],
    "bytes": lambda f: f[b"a/b"],
    "group": lambda f: f["a"]["b"],
    "absolute path from a group": lambda f: f["a"]["/a/b"],
    "get": lambda f: f.get("a/b"),
    "values": lambda f: next(iter(f["a"].values())),
    "items": lambda f: next(iter(f["a"].items()))[1],
    "visititems": lambda f: f.visititems(lambda name, found: found if name == "a/b" else None),
    "require_dataset": lambda f: f.require_dataset("a/b", (3,), "f4"),
    "require_dataset from a group": lambda f: f["a"].require_dataset("b", (3,), "f4"),
    "require_group": lambda f: f.require_group("a")["b"],
    "parent": lambda f: f["a/b"].parent["b"],
    "file": lambda f: f["a"].file["a/b"],
    "reference": lambda f: f[f["a/b"].ref],
    "hard link": lambda f: f["hard"],
    "soft link": lambda f: f["soft"],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_to_a_dataset_leads_to_the_same_object(shared: SharedData, way: Any) -> None:
    created = shared.create_dataset("a/b", (3,), "f4")
    shared["hard"] = created
    shared["soft"] = h5py.SoftLink("/a/b")  # type: ignore[attr-defined]  # unknown to h5py-stubs
    created[1] = 4.0
    found = way(shared)
    assert found is created
    assert isinstance(found, BufferedDataset)
    assert found[1] == 4.0


def test_groups_are_the_same_object_too(shared: SharedData) -> None:
    group = shared.create_group("a/b")
    assert isinstance(group, SharedGroup)
    assert shared["a/b"] is group
    assert shared["a"].require_group("b") is group
    assert group.file is shared
    assert shared.file is shared
    assert group.parent is shared["a"]
    assert shared["/"].attrs == shared.attrs


def test_a_dataset_whose_variable_is_gone_keeps_its_rows(shared: SharedData) -> None:
    shared.create_dataset("a/b", (3,), "f4")[1] = 4.0
    assert list(shared) == ["a"]  # forgets the paths
    gc.collect()
    assert shared["a/b"][1] == 4.0


def test_a_path_leads_to_the_new_object_after_the_old_one_was_deleted(shared: SharedData) -> None:
    old = shared.create_dataset("a/b", (3,), "f4")
    shared["a/b"][0] = 1.0
    del shared["a/b"]
    with pytest.raises(KeyError):
        shared["a/b"]
    shared.create_dataset("a/b", (3,), "f4")[0] = 2.0
    assert (old[0], shared["a/b"][0]) == (1.0, 2.0)


def test_a_path_leads_to_the_new_object_after_a_move(shared: SharedData) -> None:
    for name, value in (("x", 1.0), ("y", 2.0)):
        shared.create_dataset(f"a/{name}", (3,), "f4")[0] = value
        assert shared[f"a/{name}"][0] == shared["a"][name][0] == value
    shared["a"].move("x", "z")
    shared["a"].move("y", "x")
    assert (shared["a/x"][0], shared["a"]["x"][0], shared["a/z"][0]) == (2.0, 2.0, 1.0)
    with pytest.raises(KeyError):
        shared["a/y"]


def test_a_group_that_is_held_follows_a_move_made_elsewhere(shared: SharedData) -> None:
    group = shared.create_group("a")
    old = group.create_dataset("x", (3,), "f4")
    assert group["x"] is old
    shared.move("a/x", "a/y")
    new = shared.create_dataset("a/x", (3,), "f4")
    assert group["x"] is new
    assert group["y"] is old


def test_a_soft_link_that_is_replaced_leads_elsewhere(shared: SharedData) -> None:
    links: Any = h5py
    for name, value in (("x", 1.0), ("y", 2.0)):
        shared.create_dataset(name, (3,), "f4")[0] = value
    shared["soft"] = links.SoftLink("/x")
    assert shared["soft"][0] == 1.0
    del shared["soft"]
    shared["soft"] = links.SoftLink("/y")
    assert shared["soft"][0] == 2.0


def test_a_copy_holds_rows_just_assigned_and_is_another_dataset(shared: SharedData) -> None:
    shared.create_dataset("a/x", (3,), "f4")[0] = 1.0
    shared.copy("a", "b")  # type: ignore[attr-defined]  # unknown to h5py-stubs
    shared["a/x"][0] = 2.0
    assert (shared["b/x"][0], shared["a/x"][0]) == (1.0, 2.0)


def test_a_copy_into_another_file_holds_rows_just_assigned(shared: SharedData, tmp_path: Path) -> None:
    shared.create_dataset("a/x", (3,), "f4")[0] = 1.0
    plain: Any = h5py
    with plain.File(tmp_path / "copy.h5", "w") as file:
        file.copy(shared["a"], "b")
        assert file["b/x"][0] == 1.0


def test_a_dataset_behind_an_external_link_is_h5pys_own(shared: SharedData, tmp_path: Path) -> None:
    with h5py.File(str(tmp_path / "other.h5"), "w") as other:
        other["x"] = np.arange(3)
        other.create_group("g")
    shared["there"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")  # type: ignore[attr-defined]  # as above
    shared["group"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/g")  # type: ignore[attr-defined]  # as above
    assert type(shared["there"]) is h5py.Dataset
    assert type(shared["group"]) is h5py.Group
    assert shared["there"][2] == 2


def test_get_gives_the_default_the_class_and_the_link(shared: SharedData) -> None:
    links: Any = h5py
    shared.create_dataset("x", (3,), "f4")
    other = links.File.in_memory()
    assert shared.get("y") is None
    assert shared.get("y", other) is other
    assert shared.get("y", 3, getclass=True) == 3
    assert shared.get("x", getclass=True) is h5py.Dataset
    assert shared.get("x", getlink=True, getclass=True) is links.HardLink


@pytest.mark.parametrize("name", [0, None, 1.5, [], slice(None)], ids=repr)
def test_what_is_no_path_is_refused_as_by_h5py(shared: SharedData, name: Any) -> None:
    with pytest.raises(TypeError, match="bytes or str"):
        shared[name]


def test_looking_up_creating_and_attributes_leave_the_buffers_alone(shared: SharedData) -> None:
    dataset = shared.create_dataset("a/x", (3,), "f4")
    unbuffered = h5py.Dataset(dataset.id)
    dataset[0] = 1.0
    shared["a"].attrs["units"] = "seconds"
    shared.attrs["b"] = 1
    shared.create_dataset("a/y", (3,), "f4")
    shared["a"].create_group("z")
    assert "x" in shared["a"]
    assert shared.get("a/x") is shared["a"]["x"]
    assert unbuffered[0] == 0.0  # still in the buffer
    assert shared["a"].attrs["units"] == "seconds"
    assert dict(shared.attrs) == {"b": 1}


def test_the_identifier_of_a_group_brings_all_rows_to_hdf5(shared: SharedData) -> None:
    dataset = shared.create_dataset("a/x", (3,), "f4")
    unbuffered = h5py.Dataset(dataset.id)
    dataset[0] = 1.0
    unbuffered_group: Any = h5py.Group(shared["a"].id)
    assert unbuffered_group["x"][0] == 1.0
    dataset[0] = 2.0
    assert shared.id.valid
    assert unbuffered[0] == 2.0


# -- creating --------------------------------------------------------------------------------------------


def test_a_dataset_without_a_type_is_float32_and_zero(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (3,))
    assert dataset.dtype == np.float32
    np.testing.assert_array_equal(dataset[:], 0)


def test_a_dataset_of_nothing_is_refused_as_by_h5py(shared: SharedData) -> None:
    with pytest.raises(TypeError, match="One of data, shape or dtype"):
        shared.create_dataset("x")


def test_a_dataset_of_a_type_alone_is_empty_as_in_h5py(shared: SharedData) -> None:
    assert shared.create_dataset("x", dtype="f8").shape is None


@pytest.mark.parametrize("data", [np.arange(3, dtype="i2"), [1.5, 2.5], "word"], ids=repr)
def test_a_dataset_of_given_data_has_their_type(shared: SharedData, data: Any) -> None:
    file: Any = h5py.File
    expected = file.in_memory().create_dataset("x", data=data)
    assert shared.create_dataset("x", data=data).dtype == expected.dtype


def test_a_huge_dataset_allocates_nothing(shared: SharedData) -> None:
    dataset = shared.create_dataset("x", (100_000_000,))
    dataset[7] = 1.0
    assert dataset.shape == (100_000_000,)
    assert dataset[99_999_999] == 0.0
    assert len(shared.id.get_file_image()) < 2_000_000


@pytest.mark.parametrize(
    ("shape", "is_chunked"), [(2**20, False), ((2**10, 2**10), False), ((2**20 + 1,), True)]
)
def test_only_datasets_too_large_to_preallocate_are_chunked(
    shared: SharedData, shape: Any, is_chunked: bool
) -> None:
    assert (shared.create_dataset("x", shape, "u1").chunks is not None) is is_chunked


def test_chunks_that_the_caller_chose_are_kept(shared: SharedData) -> None:
    assert shared.create_dataset("x", (2**21,), "u1", chunks=(77,)).chunks == (77,)
    assert shared.create_dataset("z", (64, 8), "i4", compression=True).compression == "gzip"


@pytest.mark.parametrize("dtype", ["f4", "S4", np.dtype([("a", "i4")])], ids=str)
def test_unwritten_parts_are_zero_in_space_that_was_used_before(shared: SharedData, dtype: Any) -> None:
    for _ in range(2):
        old = shared.create_dataset("old", data=np.full(100_000, 7.0))
        del old, shared["old"]
        gc.collect()
        new = shared.create_dataset("new", (100_000,), dtype)
        new[5] = np.ones(1, dtype)[0]
        assert np.count_nonzero(new[:] != np.zeros(1, dtype)[0]) == 1
        del new, shared["new"]


def test_external_storage_keeps_what_it_holds(shared: SharedData, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(np.arange(3, dtype="f4").tobytes())
    dataset = shared.create_dataset("x", (3,), "f4", external=str(tmp_path / "raw"))
    dataset[0] = 9.0
    np.testing.assert_array_equal(dataset[:], [9, 1, 2])


def test_an_anonymous_dataset_can_be_linked_later(shared: SharedData) -> None:
    dataset = shared.create_dataset(None, (3,), "f4")
    dataset[1] = 2.0
    shared["x"] = dataset
    assert shared["x"] is dataset
    shared["y"] = [1, 2, 3]
    np.testing.assert_array_equal(shared["y"][:], [1, 2, 3])
    shared["type"] = np.dtype("f8")
    assert isinstance(shared["type"], h5py.Datatype)


def test_require_dataset_creates_what_is_missing_and_refuses_what_differs(shared: SharedData) -> None:
    dataset = shared["/"].require_dataset("a/x", (3,), "f4")
    assert isinstance(dataset, BufferedDataset)
    with pytest.raises(TypeError, match="Shapes do not match"):
        shared.require_dataset("a/x", (4,), "f4")
    series = shared.create_series("s", None)
    series[4] = 1.0
    assert shared.require_dataset("s", (5,), "f4") is series


def test_create_dataset_like_gives_one_of_ours(shared: SharedData) -> None:
    like: Any = shared.create_dataset("x", (3,), "i8")
    made: Any = shared
    assert isinstance(made.create_dataset_like("y", like), BufferedDataset)


def test_objects_are_equal_and_hash_as_in_h5py(shared: SharedData) -> None:
    dataset, group = shared.create_dataset("a/x", (3,), "f4"), shared["a"]
    assert dataset == h5py.Dataset(dataset.id)
    assert group == h5py.Group(group.id)
    assert len({dataset, shared["a/x"], group, shared["a"]}) == 2
    assert bool(dataset)
    assert "shape (3,)" in repr(dataset)
