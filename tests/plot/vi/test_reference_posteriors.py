"""The figure of fits' errors shows every fit, the hopeless ones too."""

from vijax.plot.vi import reference_posteriors


def test_errors_beyond_the_axis_stand_at_its_ends():
    errors = {"mean_error": 177.0, "sd_error": 1e-9}
    row = {"name": "a-b", "family": "flow", "trusted": False, "correctable": False}
    row |= {kind: errors for kind in ("q", "corrected", "response")}
    for ax in reference_posteriors.posterior_errors([row], 0.05, 0.05).axes:
        low, high = ax.get_xlim()
        drawn = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
        assert len(drawn) == 2  # q's and the weighted one
        assert all(low < x < high for x in drawn)
