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
    pixels, labels, names = image_folder.read(tmp_path)
    np.testing.assert_array_equal(pixels, grey[::-1], strict=True)
    assert (labels, names) == (None, None)
    dataset = data.load(tmp_path)
    assert (dataset.num_levels, dataset.train.dtype) == (256, np.float32)
    assert (dataset.train.shape, dataset.test.shape) == ((5, 4, 5), (1, 4, 5))
    assert data.is_available(tmp_path)


def test_subfolders_are_classes(tmp_path, grey):
    for index, pixels in enumerate(grey):
        save(tmp_path / "ab"[index % 2], f"{index}.bmp", pixels)
    pixels, labels, names = image_folder.read(tmp_path)
    np.testing.assert_array_equal(pixels, grey[[0, 2, 4, 1, 3, 5]])
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert names == ("a", "b") == data.load(tmp_path).label_names


def test_one_image_in_colour_makes_all_colour(tmp_path, grey):
    colour = np.stack([grey[0], grey[1], grey[2]], axis=-1)
    save(tmp_path, "0.png", colour)
    save(tmp_path, "1.png", grey[3])
    pixels, _, _ = image_folder.read(tmp_path)
    np.testing.assert_array_equal(pixels[0], colour)
    np.testing.assert_array_equal(pixels[1], np.repeat(grey[3][..., None], 3, axis=2))
    save(tmp_path, "1.png", grey[3] > 99)  # one bit a pixel
    np.testing.assert_array_equal(
        image_folder.read(tmp_path)[0][1, ..., 2], 255 * (grey[3] > 99)
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
