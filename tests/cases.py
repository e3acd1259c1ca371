"""Parametrised tests of which a few cases run each time, and all of them at night."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_except(quick: set[Any], cases: Iterable[Any]) -> list[Any]:
    """Return all cases, those that are not quick with the mark `slow`."""
    cases = list(cases)
    unknown = quick - set(cases)
    assert not unknown, f"no such cases: {unknown}"
    return [
        case if case in quick else pytest.param(case, marks=pytest.mark.slow)
        for case in cases
    ]
