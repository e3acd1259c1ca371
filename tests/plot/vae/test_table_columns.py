import numpy as np

from vijax.plot.vae import table_columns


def test_each_column_has_a_panel():
    values = np.linspace(0.0, 1.0, 101)
    columns = {f"x{i}": (values, i * values) for i in range(5)}
    fig = table_columns.reconstructed_columns(columns)
    shown = [ax for ax in fig.axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown] == list(columns)
    np.testing.assert_allclose(
        shown[3].collections[0].get_offsets(), np.stack([values, 3 * values], 1)
    )
    # The middle 99 % of the values and a twentieth of it on each side.
    np.testing.assert_allclose(shown[3].get_xlim(), (0.005 - 0.0495, 0.995 + 0.0495))
    assert shown[3].get_ylim() == shown[3].get_xlim()


def test_each_latent_has_a_line():
    at = np.array([[-1.0, 1.0], [-2.0, 2.0]])
    columns = {"pt": np.array([[1.0, 2.0], [3.0, 4.0]]), "eta": np.zeros((2, 2))}
    fig = table_columns.column_traversals(at, columns, ["latent 3", "latent 1"])
    lines = fig.axes[0].lines
    assert [line.get_label() for line in lines] == ["latent 3", "latent 1"]
    np.testing.assert_array_equal(lines[1].get_xydata(), [[-2.0, 3.0], [2.0, 4.0]])
    assert len(fig.axes[1].lines) == 2
    fig.canvas.draw()
