"""One table in every kind of file: what is read, and what is refused by name."""

import sys
from typing import NamedTuple

import numpy as np
import pytest

from vijax import data, vi
from vijax.data.files import root_files

ROWS = 50
KINDS = ("root", "rntuple", "h5", "records", "parquet", "feather", "csv")


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(3)
    return {
        "pt": random.exponential(20, ROWS),
        "eta": random.normal(size=ROWS).astype(np.float32),
        "n": random.integers(0, 5, ROWS).astype(np.int32),
        "label": random.integers(0, 2, ROWS),
    }


def write(kind, folder, columns):
    """Write columns to a file of a kind, and return its path."""
    path = folder / f"events.{ {'rntuple': 'root', 'records': 'h5'}.get(kind, kind) }"
    if kind in ("root", "rntuple"):
        uproot = pytest.importorskip("uproot")
        with uproot.recreate(path) as file:
            (file.mktree if kind == "root" else file.mkrntuple)("events", columns)
    elif kind in ("h5", "records"):
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            if kind == "records":
                types = [(n, a.dtype, a.shape[1:]) for n, a in columns.items()]
                records = np.empty(len(next(iter(columns.values()))), types)
                for name, array in columns.items():
                    records[name] = array
                file["group/events"] = records
            else:
                for name, array in columns.items():
                    file[name] = array
    elif kind == "csv":
        lines = [",".join(columns)]
        for row in zip(*columns.values(), strict=True):
            lines.append(",".join(str(value) for value in row))
        path.write_text("\n".join(lines))
    else:
        arrow = pytest.importorskip("pyarrow")
        given = {
            name: arrow.FixedSizeListArray.from_arrays(a.ravel(), a.shape[1])
            if isinstance(a, np.ndarray) and a.ndim == 2
            else a
            for name, a in columns.items()
        }
        if kind == "parquet":
            from pyarrow import parquet

            parquet.write_table(arrow.table(given), path, write_page_checksum=True)
        else:
            from pyarrow import feather

            feather.write_feather(arrow.table(given), path)
    return path


def both(dataset):
    return np.concatenate([dataset.train, dataset.test])


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_is_the_same_from_every_file(kind, tmp_path, table):
    path = write(kind, tmp_path, table)
    assert data.is_available(path)
    dataset = data.load(path, columns=["n", "pt", "eta"])
    assert dataset.feature_names == ("n", "pt", "eta")
    assert (dataset.train.shape, dataset.train.dtype) == ((40, 3), np.float64)
    assert set(dataset.train_labels.tolist()) == {0, 1}
    expected = np.column_stack([table["n"], table["pt"], table["eta"]])
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    found = np.column_stack([both(dataset), labels])
    found, expected = found[found[:, 1].argsort()], expected[table["pt"].argsort()]
    # CSV's text of a float32 is shorter.
    np.testing.assert_allclose(found[:, :3], expected, rtol=1e-7 * (kind == "csv"))
    assert found[:, 3].tolist() == table["label"][table["pt"].argsort()].tolist()
    # The same fifth is the test part, from whatever file.
    rows = data.load(write("csv", tmp_path, table)).test[:, 0]
    np.testing.assert_allclose(dataset.test[:, 1], rows)


@pytest.mark.parametrize("kind", KINDS)
def test_selections_may_use_other_columns(kind, tmp_path, table):
    path = write(kind, tmp_path, table)
    keep = (table["pt"] > 10) & (np.abs(table["eta"]) < 1.5)
    dataset = data.load(path, columns=["n"], select="pt > 10 and abs(eta) < 1.5")
    assert sorted(both(dataset)[:, 0]) == sorted(table["n"][keep])
    dataset = data.load(path, select=lambda columns: columns["n"] >= 3, label="n")
    assert set(dataset.train_labels.tolist()) == {3, 4}
    assert "n" not in dataset.feature_names
    with pytest.raises(ValueError, match=r"events.*select.* keeps none of 50 rows"):
        data.load(path, select="pt < 0")
    with pytest.raises(ValueError, match=r"events.*'mass'.*no column|no column 'mass'"):
        data.load(path, select="mass > 3")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "csv"])
def test_batches_begin_anew(kind, tmp_path, table):
    path = write(kind, tmp_path, table)
    source = data.batches(
        [path, path], ["pt", "n"], select="n > 0", batch_size=7 if kind == "root" else 8
    )
    keep = table["n"] > 0
    for _ in range(2):
        blocks = list(source)
        assert all(len(block["pt"]) <= 8 for block in blocks)
        assert len(blocks) > 6
        for name in ("pt", "n"):
            found = np.concatenate([block[name] for block in blocks])
            np.testing.assert_array_equal(found, np.tile(table[name][keep], 2))
            assert found.dtype == table[name].dtype
    stream = vi.Stream(source, block_size=30)
    assert (stream.num_rows, list(stream.columns)) == (2 * keep.sum(), ["pt", "n"])
    np.testing.assert_array_equal(stream.read(0)["pt"], table["pt"][keep][:30])


@pytest.mark.parametrize("kind", ["root", "h5", "records", "parquet", "feather"])
def test_several_numbers_per_row_are_several_columns(kind, tmp_path):
    columns = {"x": np.arange(30.0).reshape(10, 3), "y": np.arange(10.0)}
    if kind == "h5":  # one array and one column: a group of columns by its name
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "events.h5", "w") as file:
            file["a"], file["b/x"], file["b/y"] = 0.0, columns["x"], columns["y"]
        path, name = tmp_path / "events.h5", "b"
    else:
        path, name = write(kind, tmp_path, columns), None
    dataset = data.load(path, table=name, select="x[1] >= 4")
    assert dataset.feature_names == ("x[0]", "x[1]", "x[2]", "y")
    assert sorted(both(dataset)[:, 2]) == np.arange(5.0, 30, 3).tolist()
    (block,) = data.batches(path, ["x"], table=name)
    np.testing.assert_array_equal(block["x"], columns["x"])


def test_float32_stays_and_whole_numbers_are_never_rounded(tmp_path):
    columns = {"x": np.ones(5, np.float32), "event": 2**53 + np.arange(5)}
    path = write("h5", tmp_path, columns)
    assert data.load(path, columns=["x"]).train.dtype == np.float32
    with pytest.raises(ValueError, match=r"column event: whole numbers above 2\^53"):
        data.load(path)
    (block,) = data.batches(path, ["event"])
    assert block["event"].tolist() == columns["event"].tolist()


@pytest.mark.parametrize("kind", ["root", "h5", "parquet", "feather"])
def test_text_is_a_label_or_refused(kind, tmp_path):
    kinds = ["photon", "electron"] * 5
    columns = {"pt": np.arange(10.0), "kind": kinds}
    if kind == "root":
        columns["kind"] = pytest.importorskip("awkward").Array(kinds)
    elif kind == "h5":
        columns["kind"] = np.array(kinds, object)
    path = write("rntuple" if kind == "root" else kind, tmp_path, columns)
    dataset = data.load(path, label="kind")
    assert dataset.label_names == ("electron", "photon")
    np.testing.assert_array_equal(dataset.train_labels, dataset.train[:, 0] % 2 == 0)
    assert len(both(data.load(path, columns=["pt"], select="kind == 'photon'"))) == 5
    with pytest.raises(ValueError, match="column kind: expected numbers, found text"):
        data.load(path)
    with pytest.raises(ValueError, match="no column 'type' for the labels: give one"):
        data.load(path, label="type")


@pytest.mark.parametrize("kind", ["root", "h5", "parquet", "feather"])
def test_missing_values_are_refused_or_selected_away(kind, tmp_path):
    x = np.arange(10.0)
    x[[3, 7]] = np.nan
    path = write(kind, tmp_path, {"x": x, "y": np.arange(10.0)})
    words = r"column x, row 7: expected a finite number.*select=\"isfinite\(x\)\""
    with pytest.raises(ValueError, match=words):
        data.load(path, select="y > 3")
    with pytest.raises(ValueError, match="column x, row 3"):
        list(data.batches(path, batch_size=2))
    assert len(both(data.load(path, select="isfinite(x)"))) == 8


def test_the_remedy_of_a_missing_value_can_be_copied(tmp_path):
    columns = {"m [GeV]": [1.0, None, 3.0], "kind": ["a", "b", None]}
    path = write("parquet", tmp_path, columns)
    with pytest.raises(ValueError, match=r"row 1: .*select=\"isfinite\(`m \[GeV\]`\)"):
        list(data.batches(path, ["m [GeV]"]))
    (block,) = data.batches(path, ["m [GeV]"], select="isfinite(`m [GeV]`)")
    assert block["m [GeV]"].tolist() == [1.0, 3.0]
    with pytest.raises(ValueError, match="row 2: expected a text, found a missing val"):
        data.load(path, select="isfinite(`m [GeV]`)", label="kind")


def test_the_remedy_names_the_number_that_is_missing(tmp_path):
    lists = [[1.0, 2.0], [3.0, float("nan")], [5.0, 6.0]]
    path = write("h5", tmp_path, {"p": np.array(lists), "y": np.arange(3)})
    with pytest.raises(ValueError, match=r"row 1: .*select=\"isfinite\(p\[1\]\)\""):
        data.load(path)
    assert len(both(data.load(path, select="isfinite(p[1])"))) == 2


def test_names_of_files_are_taken_as_they_are(tmp_path, table):
    for kind in ("root", "h5", "parquet", "feather"):
        folder = tmp_path / "a:b*[1] ä"
        folder.mkdir(exist_ok=True)
        path = write(kind, folder, table)
        assert data.load(path, columns=["pt"]).train.shape == (40, 1)


def test_missing_whole_numbers_keep_their_type(tmp_path):
    big = 2**60 + 1
    path = write("parquet", tmp_path, {"n": [big, None, 3], "y": [0.0, 1.0, 2.0]})
    with pytest.raises(ValueError, match="column n, row 1: expected a finite number"):
        list(data.batches(path))
    (block,) = data.batches(path, ["n"], select="isfinite(n)")
    assert block["n"].tolist() == [big, 3]


def test_lists_of_different_lengths_are_refused(tmp_path):
    lists = [[1.0, 2.0], [3.0], [4.0, 5.0, 6.0]]  # six numbers in three rows
    awkward = pytest.importorskip("awkward")
    for kind in ("root", "rntuple"):
        columns = {"jets": awkward.Array(lists), "y": np.arange(3.0)}
        path = write(kind, tmp_path, columns)
        with pytest.raises(ValueError, match=r"column jets: .*lists of different leng"):
            data.load(path, columns=["jets"])
        assert data.load(path, columns=["y"]).train.shape == (2, 1)
    for kind in ("parquet", "feather"):
        path = write(kind, tmp_path, {"jets": lists, "y": [0.0, 1.0, 2.0]})
        with pytest.raises(ValueError, match=r"column jets: .*lists of different leng"):
            data.load(path)
        assert data.load(path, columns=["y"]).train.shape == (2, 1)


def test_categories_decimals_and_the_index_of_pandas(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from decimal import Decimal

    from pyarrow import parquet

    columns = {
        "label": arrow.array(["b", "a", "b"]).dictionary_encode(),
        "price": arrow.array([Decimal("1.5"), Decimal("2.5"), Decimal("3.0")]),
        "__index_level_0__": arrow.array([7, 8, 9]),
    }
    parquet.write_table(arrow.table(columns), tmp_path / "a.parquet")
    dataset = data.load(tmp_path / "a.parquet")
    assert dataset.feature_names == ("price",)
    assert dataset.label_names == ("a", "b")
    assert sorted(both(dataset)[:, 0]) == [1.5, 2.5, 3.0]
    times = np.array(["2020-01-01"] * 3, "datetime64[s]")
    path = write("parquet", tmp_path, {"t": times})
    with pytest.raises(ValueError, match=r"column t: .* found times"):
        data.load(path)


@pytest.mark.parametrize("suffix", ["root", "h5", "parquet", "feather"])
def test_damaged_and_foreign_files_are_named(suffix, tmp_path, table):
    many = {name: np.tile(array, 40) for name, array in table.items()}
    whole = write(suffix, tmp_path, many).read_bytes()
    damaged = {
        "cut": whole[:-100],
        "half": whole[: len(whole) // 2],
        "text": b"pt,eta\n1.0,2.0\n",
        "empty": b"",
        "zeros": bytes(5000),
    }
    for name, content in damaged.items():
        path = tmp_path / f"{name}.{suffix}"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}\.{suffix}: expected"):
            data.load(path)
    with pytest.raises(FileNotFoundError, match="expected a file, found none"):
        data.load(tmp_path / f"none.{suffix}")


def test_a_root_file_cut_short_is_named_though_its_tree_is_whole(tmp_path, table):
    uproot = pytest.importorskip("uproot")
    path = tmp_path / "events.root"
    with uproot.recreate(path) as file:
        file.mktree("events", table)
        file["mass"] = np.histogram(table["pt"])
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with uproot.open(path) as file:  # reads on without a word
        assert file["events"]["pt"].array(library="np").sum() == table["pt"].sum()
    words = rf"expected {len(content)} bytes, found {len(content) - 100}: .* cut short"
    with pytest.raises(ValueError, match=words):
        data.load(path)


def test_batches_of_parquet_leave_memory_when_they_are_read(tmp_path):
    """A group of rows is 1/16 of the file; pyarrow would keep all that it has read."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path, column = tmp_path / "a.parquet", np.random.default_rng(0).normal(size=2**17)
    table = arrow.table({"x": column})
    parquet.write_table(table, path, row_group_size=2**13)
    before, most = arrow.total_allocated_bytes(), 0
    for _ in data.batches(path, batch_size=2**12):
        most = max(most, arrow.total_allocated_bytes() - before)
    assert most < column.nbytes / 4


def test_a_changed_byte_of_parquet_is_seen(tmp_path, table):
    many = {name: np.tile(array, 400) for name, array in table.items()}
    path = write("parquet", tmp_path, many)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"events\.parquet: expected a Parquet file"):
        data.load(path)


class Tree(NamedTuple):
    num_entries: int
    offsets: list[int]

    def common_entry_offsets(self):
        return self.offsets


def test_entries_are_read_to_where_baskets_end():
    """Else a basket is decompressed for each small range of it."""
    tree = Tree(5 * 2**20, [0, 2**19, 2**20 + 2**19, 3 * 2**20, 5 * 2**20])
    expected = [(0, 2**19), (2**19, 3 * 2**19), (3 * 2**19, 5 * 2**19)]
    expected += [(5 * 2**19, 6 * 2**19), (6 * 2**19, 8 * 2**19), (2**22, 5 * 2**20)]
    assert list(root_files._ranges(tree, 100, 3)) == expected
    assert list(root_files._ranges(tree, 2**23, 3)) == [(0, 5 * 2**20)]
    # Of many columns fewer entries at once, but never fewer than are asked for.
    assert next(root_files._ranges(tree, 100, 2**10)) == (0, 2**14)
    assert next(root_files._ranges(tree, 2**15, 2**10)) == (0, 2**15)


def test_trees_are_chosen_by_name(tmp_path, table):
    uproot = pytest.importorskip("uproot")
    path = tmp_path / "two.root"
    with uproot.recreate(path) as file:
        file.mktree("signal", table)
        file.mktree("folder/background", {"pt": -table["pt"]})
    with pytest.raises(ValueError, match=r"one tree, found signal, folder/background"):
        data.load(path)
    with pytest.raises(ValueError, match="no tree 'data': give one of signal, folder"):
        data.load(path, table="data")
    assert both(data.load(path, table="folder/background")).max() <= 0
    assert data.load(path, table="signal;1").train.shape == (40, 3)
    with uproot.recreate(path) as file:
        file["mass"] = np.histogram([1.0, 2.0])
    with pytest.raises(ValueError, match="expected one tree, found none"):
        data.load(path)


def test_groups_are_chosen_by_name(tmp_path, table):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        for name, array in table.items():
            file[f"signal/{name}"] = array
            file[f"run/background/{name}"] = -array
        file["short/x"], file["short/y"] = np.zeros(3), np.zeros(4)
        file["cube"] = np.zeros((3, 4, 5))
    with pytest.raises(ValueError, match=r"columns of one length, found"):
        data.load(path, table="short")
    with pytest.raises(ValueError, match=r"no 'data': give one of .*run/background"):
        data.load(path, table="data")
    assert both(data.load(path, table="run/background", columns=["pt"])).max() <= 0
    assert data.load(path, table="signal/pt").feature_names == ("pt",)
    assert data.load(path, table="cube").train.shape == (2, 4, 5)
    with pytest.raises(ValueError, match=r"columns = \('x',\) is not valid for .*two"):
        data.load(path, table="cube", columns=["x"])
    with h5py.File(path, "w") as file:
        file["a/x"], file["b/x"] = np.zeros(3), np.zeros(3)
    with pytest.raises(ValueError, match="found a, b: name a group or a data set"):
        data.load(path)


def test_hdf5_of_images(tmp_path):
    h5py = pytest.importorskip("h5py")
    images = np.arange(160, dtype=np.uint8).reshape(10, 4, 4)
    path = tmp_path / "images.h5"
    with h5py.File(path, "w") as file:
        file["images"], file["labels"] = images, np.arange(10)
    dataset = data.load(path)
    assert (dataset.num_levels, dataset.train.shape) == (256, (8, 4, 4))
    np.testing.assert_array_equal(
        dataset.train * np.float32(255), images[dataset.train_labels]
    )
    with h5py.File(path, "w") as file:
        file["train"], file["test"] = images[:7], images[7:]
    assert [len(x) for x in data.load(path)[:2]] == [7, 3]


def test_records_are_columns_of_their_fields(tmp_path):
    awkward, uproot = (pytest.importorskip(name) for name in ("awkward", "uproot"))
    rows = [{"p4": {"x": 1.0 * i, "y": -i}, "n": i} for i in range(5)]
    path = tmp_path / "events.root"
    with uproot.recreate(path) as file:
        file.mkrntuple("events", awkward.Array(rows))
    (block,) = data.batches(path)
    assert list(block) == ["p4.x", "p4.y", "n"]
    dataset = data.load(path, columns=["p4.y"], select="p4.x > 0 and n < 4")
    assert sorted(both(dataset)[:, 0]) == [-3, -2, -1]
    with pytest.raises(
        ValueError, match=r"no column 'p4\.z'.*give one of p4\.x, p4\.y"
    ):
        list(data.batches(path, ["p4.z"]))


def test_hdf5_as_pandas_and_others_write_it(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    records = np.array([(0, [1.0, 2.0]), (1, [3.0, 4.0])], [("i", "i8"), ("v", "2f8")])
    with h5py.File(path, "w") as file:
        file["df/table"] = records
        file.create_group("df/_i_table")
    for name in (None, "df"):
        assert data.load(path, table=name).feature_names == ("i", "v[0]", "v[1]")
    with h5py.File(path, "w") as file:
        file["x"], file["y"], file["written"] = np.zeros(4), np.ones(4), "yesterday"
    with pytest.raises(ValueError, match=r"name those of one length by columns="):
        data.load(path)
    assert data.load(path, columns=["y", "x"]).feature_names == ("y", "x")


@pytest.mark.parametrize(
    ("suffix", "library", "extra"),
    [
        (".root", "uproot", "root"),
        (".h5", "h5py", "hdf5"),
        (".parquet", "pyarrow", "parquet"),
        (".feather", "pyarrow", "parquet"),
    ],
)
def test_a_missing_library_is_named(suffix, library, extra, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    path = tmp_path / f"events{suffix}"
    path.touch()
    words = rf"events{suffix} needs {library}: .*pip install -e '\.\[{extra}\]'"
    with pytest.raises(ImportError, match=words):
        data.load(path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": "pt"}, "columns = 'pt' is not valid: give a list"),
        ({"columns": []}, "columns = \\[\\] is not valid"),
        ({"columns": ["pt", "pt"]}, "is not valid: give a list of different names"),
        ({"columns": ["pT"]}, "no column 'pT': did you mean 'pt'\\?"),
        ({"select": "pt >"}, "select = 'pt >' is no condition"),
        ({"table": "events"}, "this kind of file has one table"),
    ],
)
def test_bad_options_are_named(options, words, tmp_path, table):
    path = write("parquet", tmp_path, table)
    with pytest.raises(ValueError, match=words):
        data.load(path, **options)


def test_a_function_is_told_what_is_read(tmp_path, table):
    path = write("parquet", tmp_path, table)
    with pytest.raises(ValueError, match="the column 'eta', which is not read: read "):
        data.load(path, columns=["pt"], select=lambda columns: columns["eta"] > 0)
    (tmp_path / "parts.parquet").mkdir()
    with pytest.raises(ValueError, match=r"parts\.parquet is a folder: give one file"):
        data.load(tmp_path / "parts.parquet")


def test_batches_check_their_options(tmp_path, table):
    path = write("parquet", tmp_path, table)
    for size in (0, True):
        with pytest.raises(ValueError, match=f"batch_size = {size} is not valid"):
            data.batches(path, batch_size=size)
    with pytest.raises(ValueError, match=r"paths: a\.csv is not valid: give files th"):
        data.batches("a.csv")
    with pytest.raises(ValueError, match=r"paths = \[\] is not valid"):
        data.batches([])
    with pytest.raises(ValueError, match="keeps none of 100 rows"):
        list(data.batches([path, path], select="pt < 0"))


def test_a_published_tree(shared):
    path = shared / "data" / "root" / "uproot-Zmumu.root"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    pytest.importorskip("uproot")
    with pytest.raises(ValueError, match="column Type: expected numbers, found text"):
        data.load(path)
    dataset = data.load(
        path, columns=["E1", "E2", "M"], select="pt1 > 20 and pt2 > 20", label="Type"
    )
    assert dataset.label_names == ("GG", "GT", "TT")
    (block,) = data.batches(path, ["M", "Run"])
    assert (len(block["M"]), block["Run"].dtype) == (2304, np.int32)
    uproot = pytest.importorskip("uproot")
    with uproot.open(path) as file:
        expected = file["events"].arrays(["M", "pt1", "pt2"], library="np")
    np.testing.assert_array_equal(block["M"], expected["M"])
    keep = (expected["pt1"] > 20) & (expected["pt2"] > 20)
    assert sorted(both(dataset)[:, 2]) == sorted(expected["M"][keep])
