"""What processes tell each other; with more than one in tests/vae and tests/vi."""

import jax
import numpy as np
import pytest

from vijax import processes


def test_alone_nothing_is_changed():
    array = np.array([1 / 3, np.nan])
    assert processes.gathered(array).tobytes() == array.tobytes()
    assert processes.gathered(array).shape == (1, 2)
    assert processes.is_first()


def test_errors_of_the_first_are_raised_in_all(monkeypatch):
    def fail():
        raise ValueError("another run's checkpoint")

    with pytest.raises(ValueError, match="another run's"):
        processes.from_first(fail)
    # As with two processes, of which this is the first: what it tells comes first.
    told = []

    def gathered(array):
        told.append(array)
        return np.stack([array, np.zeros_like(array)])

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(processes, "gathered", gathered)
    assert processes.from_first(lambda: b"abc") == b"abc"
    assert processes.from_first(lambda: b"") == b""
    with pytest.raises(ValueError, match="another run's"):
        processes.from_first(fail)
    assert told[0].tolist() == [0, 3]
    assert told[-2].tolist() == [1, 24]
