import csv
import pickle

import numpy as np
import pytest

from vijax import data


@pytest.fixture
def table():
    return np.random.default_rng(1).normal(size=(50, 3))


def save(path, content):
    if path.suffix == ".csv":
        path.write_text(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        # Writes the hostile file that must be refused; reading never unpickles.
        np.save(path, content, allow_pickle=True)
    return path


def test_npy(tmp_path, table):
    path = save(tmp_path / "events.npy", table)
    assert data.is_available(path)
    dataset = data.load(path)
    assert (dataset.train.shape, dataset.test.shape) == ((40, 3), (10, 3))
    assert dataset.train.dtype == np.float64
    assert (dataset.train_labels, dataset.num_levels) == (None, None)
    assert dataset.name == str(path)
    both = np.concatenate([dataset.train, dataset.test])
    assert sorted(map(tuple, both)) == sorted(map(tuple, table))


def test_split_is_fixed(tmp_path):
    path = save(tmp_path / "events.npy", np.arange(20.0)[:, None])
    assert data.load(str(path)).test[:, 0].tolist() == [2.0, 4.0, 6.0, 19.0]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("float32", "float32"), ("float64", "float64"), ("float16", "float64"),
     ("int64", "float64"), (">f8", "float64")],
)  # fmt: skip
def test_types(tmp_path, table, given, kept):
    path = save(tmp_path / "events.npy", (10 * table).astype(given))
    dataset = data.load(path)
    assert (dataset.train.dtype, dataset.num_levels) == (kept, None)
    both = np.concatenate([dataset.train, dataset.test])
    assert sorted(both[:, 0]) == sorted((10 * table).astype(given)[:, 0])


@pytest.mark.parametrize(("dtype", "levels"), [(np.uint8, 256), (bool, 2)])
def test_grey_levels(tmp_path, dtype, levels):
    images = np.random.default_rng(0).integers(0, levels, (10, 4, 5)).astype(dtype)
    dataset = data.load(save(tmp_path / "images.npy", images))
    assert (dataset.train.dtype, dataset.num_levels) == (np.float32, levels)
    both = np.concatenate([dataset.train, dataset.test]) * (levels - 1)
    assert sorted(both.ravel()) == sorted(images.astype(float).ravel())


def test_npz_with_parts(tmp_path, table):
    parts = {
        "train": table[:30],
        "test": table[30:45],
        "valid": table[45:],
        "train_labels": np.arange(30, dtype=np.uint8),
        "test_labels": np.arange(15),
        "valid_labels": np.arange(5),
    }
    dataset = data.load(save(tmp_path / "events.npz", parts))
    for part, array in parts.items():
        np.testing.assert_array_equal(getattr(dataset, part), array)
    assert dataset.train_labels.dtype == np.int64


def test_npz_with_one_array(tmp_path, table):
    labels = np.arange(50)
    path = save(tmp_path / "events.npz", {"x": table, "labels": labels})
    dataset = data.load(path)
    for part, part_labels in (
        (dataset.train, dataset.train_labels),
        (dataset.test, dataset.test_labels),
    ):
        np.testing.assert_array_equal(part, table[part_labels])
    assert len(dataset.test_labels) == 10
    assert data.load(save(tmp_path / "x.npz", {"x": table})).train_labels is None


@pytest.mark.parametrize("header", ["", "x [cm],y,z\n"])
def test_csv(tmp_path, table, header):
    text = header + "\n".join(",".join(map(repr, map(float, row))) for row in table)
    dataset = data.load(save(tmp_path / "events.csv", text))
    assert dataset.feature_names == (("x [cm]", "y", "z") if header else None)
    both = np.concatenate([dataset.train, dataset.test])
    assert sorted(map(tuple, both)) == sorted(map(tuple, table))


@pytest.mark.parametrize(
    ("labels", "numbers", "names"),
    [
        (["photon", "electron", "photon"], [1, 0, 1], ("electron", "photon")),
        ([3, -1, 3], [3, -1, 3], None),
    ],
)
def test_csv_with_labels(tmp_path, labels, numbers, names):
    rows = [("x", "label", "y")] + [(i, labels[i % 3], -i) for i in range(30)]
    with (tmp_path / "events.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows(rows)
    dataset = data.load(tmp_path / "events.csv")
    assert (dataset.feature_names, dataset.label_names) == (("x", "y"), names)
    index = dataset.train[:, 0].astype(int)
    np.testing.assert_array_equal(dataset.train[:, 1], -index)
    assert dataset.train_labels.tolist() == [numbers[i % 3] for i in index]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "expected rows of numbers, found none"),
        ("a,b\n", "expected rows of numbers, found none"),
        ("1,2\n3\n", "line 2: expected 2 cells as in other lines, found 1"),
        ("a,b\n1,2\n3,4,5\n", "line 3: expected 2 cells as in other lines, found 3"),
        (
            "a,b\n1,2\n3,x\n",
            "line 3, column b: expected a finite number, found 'x': .*columns",
        ),
        ("run,x\n2024_01,2\n", "column run: expected a finite number, found '2024_01'"),
        ("1,2\n3,nan\n", "line 2, column 2: expected a finite number, found 'nan'"),
        ("1,2\n-inf,4\n", "line 2, column 1: expected a finite number, found '-inf'"),
        ("1,2\n3,\n", "line 2, column 2: expected a finite number, found ''"),
        ("1,a\n2,3\n", "line 1, column 2: expected a finite number, found 'a'"),
        ("1;2\n3;4\n", "expected cells between commas, found semicolons in every line"),
        ("a\tb\n1,5\t2\n", "expected cells between commas, found tabs in every line"),
        ("a,n\n1,-9007199254740993\n", "line 2, column n: -9007199254740993 is above"),
        ("1,2\n", "expected two examples or more to split, found one"),
        ("x,label\n1,a\n2,\n", "expected a label in every row, found an empty cell"),
        ("x,label\n1,0.5\n2,1\n", "expected labels that are all integers or all text"),
        ("label\n1\n2\n", "train: expected examples along the first axis"),
    ],
)
def test_bad_csv(tmp_path, content, found):
    path = save(tmp_path / "events.csv", content)
    with pytest.raises(ValueError, match=rf"events\.csv.*{found}"):
        data.load(path)


def test_csv_with_columns_and_a_selection(tmp_path):
    text = "x,kind,y\n1,a,2\n3,b,-\n5,a,6\n7,a,8\n"
    path = save(tmp_path / "events.csv", text)
    dataset = data.load(path, columns=["y", "x"], select="kind == 'a'")
    assert dataset.feature_names == ("y", "x")
    both = np.concatenate([dataset.train, dataset.test])
    assert sorted(map(tuple, both.tolist())) == [(2, 1), (6, 5), (8, 7)]
    with pytest.raises(ValueError, match=r"line 3, column y: .* found '-'"):
        data.load(path, columns=["y"], select="x > 2")
    assert data.load(path, columns=["x"], label="kind").label_names == ("a", "b")
    with pytest.raises(ValueError, match="keeps none of 4 rows"):
        data.load(path, select="x < 0")
    with pytest.raises(ValueError, match="table = 'a' is not valid for"):
        data.load(path, table="a")
    path = save(tmp_path / "bare.csv", "1,2\n3,4\n5,6\n")  # columns are 1 and 2
    assert data.load(path, columns=["2"], select="`1` > 2").train.shape == (1, 1)
    path = save(tmp_path / "twice.csv", "x,x\n1,2\n3,4\n")
    assert data.load(path).test.tolist() in ([[1, 2]], [[3, 4]])  # both are kept
    with pytest.raises(ValueError, match="more than one column of that name"):
        data.load(path, columns=["x"])


def test_csv_that_is_no_text(tmp_path):
    (tmp_path / "events.csv").write_bytes(b"\xff\xfe1\x00,\x002\x00")
    with pytest.raises(ValueError, match=r"events\.csv: expected a table as text"):
        data.load(tmp_path / "events.csv")


class Bomb:
    """What pickle would run if anything unpickled it: the test would fail."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_objects_are_never_unpickled(tmp_path, suffix):
    bomb = np.array([[Bomb()], [Bomb()]])
    content = bomb if suffix == ".npy" else {"train": bomb}
    path = save(tmp_path / f"events{suffix}", content)
    with pytest.raises(ValueError, match=r"expected arrays of numbers.*pickle"):
        data.load(path)
    # Only written, never loaded by pickle: a file that is a pickle and nothing else.
    (tmp_path / f"bare{suffix}").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"expected arrays of numbers.*pickle"):
        data.load(tmp_path / f"bare{suffix}")


NUMBERS = np.ones((4, 2))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (np.array([[1.0, 2.0], [np.nan, 4.0]]), "train: .*found nan at index 1, 0"),
        (np.array([[1.0, np.inf]]), "train: expected finite numbers, found inf"),
        (np.ones(5), r"examples along the first axis.*float64 of shape \(5,\)"),
        (np.ones((0, 3)), r"none of length 0, found float64 of shape \(0, 3\)"),
        (np.ones((1, 3)), "expected two examples or more"),
        (np.ones((4, 2), complex), "expected real numbers, found complex128"),
        (np.array([["a"], ["b"]]), "expected real numbers, found <U1"),
        ({}, "expected an array named train.*found none"),
        ({"a": NUMBERS, "b": NUMBERS}, "expected an array named train.*found a, b"),
        ({"test": NUMBERS}, "expected an array named train.*found test"),
        ({"train": NUMBERS, "extra": NUMBERS}, "expected .*found train, extra"),
        ({"train": NUMBERS, "test": NUMBERS[:, :1]}, r"test: .*example.*\(4, 1\)"),
        ({"train": NUMBERS, "test": NUMBERS > 0}, "test: expected the same type"),
        ({"x": NUMBERS, "labels": np.arange(3)}, "one label for each example, found"),
        ({"x": NUMBERS, "labels": np.ones(4)}, "expected integers, found float64"),
        ({"train": NUMBERS, "test_labels": np.arange(4)}, "test_labels: expected one"),
    ],
)
def test_bad_arrays(tmp_path, content, found):
    suffix = "npz" if isinstance(content, dict) else "npy"
    path = save(tmp_path / f"events.{suffix}", content)
    with pytest.raises(ValueError, match=rf"events\.{suffix}.*{found}"):
        data.load(path)


def test_truncated(tmp_path, table):
    for suffix, content in ((".npy", table), (".npz", {"train": table})):
        path = save(tmp_path / f"events{suffix}", content)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ValueError, match=rf"events\{suffix}: expected arrays"):
            data.load(path)


@pytest.mark.parametrize(
    ("suffix", "place", "byte"),
    [
        (".npy", 20, b"("),  # in the header's text: tokenize.TokenError
        (".npz", 8, b"\x63"),  # another way to compress: NotImplementedError
        (".npz", 6, b"\x01"),  # encrypted: RuntimeError
    ],
)
def test_damaged_bytes_are_named(tmp_path, table, suffix, place, byte):
    """Of a zip the directory of members counts, which stands at the end."""
    path = save(tmp_path / f"events{suffix}", {"train": table})
    if suffix == ".npy":
        path = save(path, table)
    content = bytearray(path.read_bytes())
    start = content.rindex(b"PK\1\2") + 2 if suffix == ".npz" else 0
    content[start + place : start + place + 1] = byte
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=rf"events\{suffix}: expected arrays of"):
        data.load(path)


def test_missing(tmp_path):
    assert not data.is_available(tmp_path / "events.npy")
    with pytest.raises(FileNotFoundError, match=r"events\.npy: expected a file"):
        data.load(tmp_path / "events.npy")
