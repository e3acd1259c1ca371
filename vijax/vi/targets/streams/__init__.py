"""Targets of more rows than memory holds.

stream           rows read block by block, as often as they are asked for; `vi.Stream`
streamed_model   the target whose density is a pass over all blocks; `vi.from_stream`
scaled_rows      a model of some rows that stand for many
"""

__all__: list[str] = []


def __dir__() -> list[str]:
    return __all__
