"""Engine: how fits are made fast. Nothing here changes a number.

compilation       which programs XLA optimises, and which it need not
loops             loops of compiled steps, in a trace or in Python
batched_density   a log density at many positions, in bounded memory
noise             standard normal noise with exact first moments
"""

__all__: list[str] = []


def __dir__() -> list[str]:
    return __all__
