import subprocess
import sys

import numpy as np
import pytest

from vijax import data
from vijax.data import digits


def test_digits_are_scikit_learns_split_evenly():
    from sklearn.datasets import load_digits

    dataset = data.load("digits")
    source, labels = load_digits(return_X_y=True)
    assert (dataset.train.shape, dataset.test.shape) == ((1437, 8, 8), (360, 8, 8))
    assert dataset.train.dtype == dataset.test.dtype == np.float32
    assert dataset.train_labels.dtype == dataset.test_labels.dtype == np.int64
    assert (dataset.name, dataset.num_levels, dataset.valid) == ("digits", 17, None)
    both = np.concatenate([dataset.train, dataset.test]).reshape(-1, 64) * 16
    both_labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    found = np.column_stack([both, both_labels])
    expected = np.column_stack([source, labels])
    assert sorted(map(tuple, found)) == sorted(map(tuple, expected))
    # A fifth of each class, to the nearest image.
    counts = np.bincount(labels)
    assert np.abs(np.bincount(dataset.test_labels) - counts / 5).max() < 1


def test_digits_split_is_fixed():
    assert data.load("digits").test_labels[:12].tolist() == [
        0,
        2,
        4,
        7,
        1,
        6,
        8,
        9,
        5,
        3,
        0,
        2,
    ]
    np.testing.assert_array_equal(digits.load().test, data.load("digits").test)


def test_names():
    assert data.names() == (
        "digits",
        "mnist",
        "fashion_mnist",
        "binarized_mnist",
        "magic",
        "cms_multijet",
        "zmumu",
    )


@pytest.mark.parametrize("function", [data.load, data.is_available])
def test_unknown_name(function):
    with pytest.raises(
        ValueError, match=r"unknown data set 'cifar'.*digits, mnist, fas"
    ):
        function("cifar")
    with pytest.raises(ValueError, match=r"'MNIST': did you mean 'mnist'\?"):
        function("MNIST")
    with pytest.raises(ValueError, match=r"'events.txt'.*\.npy, \.npz, \.csv, \.root"):
        function("events.txt")


@pytest.mark.parametrize("name", ["mnist", "binarized_mnist", "magic"])
@pytest.mark.parametrize("function", [data.load, data.is_available])
def test_missing_folder(function, name, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"data_dir: there is no folder .*gone"):
        function(name, data_dir=tmp_path / "gone")
    monkeypatch.setenv("VIJAX_DATA_DIR", str(tmp_path / "lost"))
    with pytest.raises(FileNotFoundError, match=r"VIJAX_DATA_DIR: there is no .*lost"):
        function(name)


@pytest.mark.parametrize("name", ["binarized_mnist", "magic", "cms_multijet", "zmumu"])
def test_folder_is_needed_and_lacks_the_file(name, tmp_path):
    assert not data.is_available(name)
    assert not data.is_available(name, data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=f"{name} is read from a folder: give"):
        data.load(name)
    with pytest.raises(
        FileNotFoundError, match=r"expected .*, here or in .*found none"
    ):
        data.load(name, data_dir=tmp_path)


def test_shared_folder_has_all(shared, monkeypatch):
    monkeypatch.setenv("VIJAX_DATA_DIR", str(shared / "data"))
    assert [name for name in data.names() if not data.is_available(name)] == []


def test_options_of_files_are_refused_for_names():
    with pytest.raises(
        ValueError, match=r"columns=\('x',\).* is for files of your own"
    ):
        data.load("digits", columns=["x"])


def test_import_is_light():
    """Neither the import nor a look at what is available loads a heavy package."""
    script = (
        "import sys; from vijax import data; data.is_available('mnist'); "
        "heavy = {'jax', 'sklearn', 'PIL', 'tensorflow_datasets', 'matplotlib'}; "
        "heavy |= {'awkward', 'h5py', 'hist', 'pyarrow', 'uproot'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
