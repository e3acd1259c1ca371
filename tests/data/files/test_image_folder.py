import numpy as np
import pytest

from vijax import data
from vijax.data.files import image_folder

image = pytest.importorskip("PIL.Image")


def save(folder, name, pixels, mode=None):
    folder.mkdir(parents=True, exist_ok=True)
    picture = image.fromarray(pixels)
    (picture if mode is None else picture.convert(mode)).save(folder / name)


@pytest.fixture
def grey():
    return np.random.default_rng(0).integers(0, 256, (6, 4, 5)).astype(np.uint8)


def test_grey_images_in_the_order_of_their_names(tmp_path, grey):
    for index, pixels in enumerate(grey):
        save(tmp_path, f"{5 - index}.png", pixels)
    (tmp_path / "notes.txt").touch()
    arrays, names = image_folder.read(tmp_path)
    np.testing.assert_array_equal(arrays["train"], grey[::-1], strict=True)
    assert (arrays.keys(), names) == ({"train"}, None)
    dataset = data.load(tmp_path)
    assert (dataset.num_levels, dataset.train.dtype) == (256, np.float32)
    assert (dataset.train.shape, dataset.test.shape) == ((5, 4, 5), (1, 4, 5))
    assert data.is_available(tmp_path)


def test_subfolders_are_classes(tmp_path, grey):
    for index, pixels in enumerate(grey):
        save(tmp_path / "ab"[index % 2], f"{index}.bmp", pixels)
    arrays, names = image_folder.read(tmp_path)
    np.testing.assert_array_equal(arrays["train"], grey[[0, 2, 4, 1, 3, 5]])
    assert arrays["train_labels"].tolist() == [0, 0, 0, 1, 1, 1]
    assert names == ("a", "b") == data.load(tmp_path).label_names


def test_folders_at_any_depth_are_classes(tmp_path, grey):
    for index, name in enumerate(("Latin/b", "Greek/alpha", "Latin/a", ".git/x")):
        save(tmp_path / name, f"{index}.png", grey[index])
    dataset = data.load(tmp_path)
    assert dataset.label_names == ("Greek/alpha", "Latin/a", "Latin/b")
    arrays = image_folder.read(tmp_path).arrays
    np.testing.assert_array_equal(arrays["train"], grey[[1, 2, 0]])


def test_parts_with_classes_and_without(tmp_path, grey):
    for index, name in enumerate(("test/b", "train/a", "train/b", "val/a", "val/b")):
        save(tmp_path / name, f"{index}.png", grey[index])
    dataset = data.load(tmp_path)
    for found, labels, indices, classes in (
        (dataset.train, dataset.train_labels, [1, 2], [0, 1]),
        (dataset.test, dataset.test_labels, [0], [1]),
        (dataset.valid, dataset.valid_labels, [3, 4], [0, 1]),
    ):
        np.testing.assert_array_equal(found, grey[indices] / np.float32(255))
        assert labels.tolist() == classes
    assert dataset.label_names == ("a", "b")
    save(tmp_path / "valid" / "a", "9.png", grey[5])
    with pytest.raises(ValueError, match="one part of val and valid"):
        data.load(tmp_path)
    (tmp_path / "valid" / "a" / "9.png").unlink()
    save(tmp_path / "test" / "c", "9.png", grey[5])
    with pytest.raises(ValueError, match=r"classes of train \(a, b\), found c too"):
        data.load(tmp_path)
    save(tmp_path / "plane", "0.png", grey[5])  # so that these are classes after all
    assert len(data.load(tmp_path).label_names) == 7
    plain = tmp_path / "plain"
    save(plain / "train", "0.png", grey[0])
    save(plain / "test", "0.png", grey[1])
    dataset = data.load(plain)
    assert (dataset.train_labels, len(dataset.train), len(dataset.test)) == (None, 1, 1)


def test_one_image_in_colour_makes_all_colour(tmp_path, grey):
    colour = np.stack([grey[0], grey[1], grey[2]], axis=-1)
    save(tmp_path, "0.png", colour)
    save(tmp_path, "1.png", grey[3])
    pixels = image_folder.read(tmp_path).arrays["train"]
    np.testing.assert_array_equal(pixels[0], colour)
    np.testing.assert_array_equal(pixels[1], np.repeat(grey[3][..., None], 3, axis=2))
    save(tmp_path, "1.png", grey[3] > 99)  # one bit a pixel
    np.testing.assert_array_equal(
        image_folder.read(tmp_path).arrays["train"][1, ..., 2], 255 * (grey[3] > 99)
    )


def test_what_cannot_be_an_array_is_named(tmp_path, grey):
    with pytest.raises(ValueError, match=r"expected images \(\.png, .*found none"):
        data.load(tmp_path)
    save(tmp_path, "a.png", grey[0])
    save(tmp_path, "b.png", grey[0, :3])
    words = r"one size, found \[\(3, 5\), \(4, 5\)\] .* for instance b\.png"
    with pytest.raises(ValueError, match=words):
        data.load(tmp_path)
    save(tmp_path, "b.png", grey[0], "LA")
    with pytest.raises(ValueError, match=r"b\.png: expected grey or RGB .* mode LA"):
        data.load(tmp_path)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a\.png: expected an image, found something"):
        data.load(tmp_path)
    with pytest.raises(ValueError, match=r"columns = .* is not valid for"):
        data.load(tmp_path, columns=["x"])
