"""A signal above a background: tests, limits, intervals, and what to expect of them.

    signal_limits, signal_intervals    the background is known
    on_off_tests                       it is measured in an off region
    uncertain_background               it is b ± σ
    uncertain_signals, nuisances       background and efficiency are uncertain (Rolke)
    discovery                          chances of a discovery, before there are data
    signal_coverage                    how often limits and intervals hold the truth

`vijax.bayes.frequentist` hands on all public names.
"""

__all__: list[str] = []


def __dir__() -> list[str]:
    return sorted(__all__)
