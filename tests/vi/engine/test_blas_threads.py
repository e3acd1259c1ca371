from threading import Thread

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from vijax.vi.engine.blas_threads import on_one_thread


def threads() -> set[int]:
    """Return the numbers of threads of the BLAS libraries that are loaded."""
    np.ones((2, 2)) @ np.ones((2, 2))
    return {x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(limits=2, user_api="blas"):
        yield


def test_blas_is_left_as_it_was():
    assert on_one_thread(threads)() == {1}
    assert threads() == {2}

    @on_one_thread
    def fail():
        assert on_one_thread(threads)() == {1}
        assert threads() == {1}  # the inner one does not end the outer one
        raise OSError

    with pytest.raises(OSError):
        fail()
    assert threads() == {2}


def test_calls_that_overlap_leave_it_so_too():
    found = []

    @on_one_thread
    def first():
        other = Thread(target=on_one_thread(lambda: found.append(threads())))
        other.start()
        other.join()
        return threads()

    assert first() == {1}
    assert found == [{1}]
    assert threads() == {2}
