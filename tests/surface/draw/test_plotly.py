"""Figures by plotly, and those of several seeds by both libraries."""

from __future__ import annotations

import numpy as np
import pytest
from support.made import made_line, made_lines, made_seeds, made_surface, made_trajectory

from lljupyter import to_matplotlib, to_plotly
from lljupyter.jupyter.result import ResultWidget


def test_plotly_has_the_same_layers_and_no_upload():
    figure = to_plotly(made_trajectory(), color="accuracy")
    surface, path = figure.data
    np.testing.assert_array_equal(surface.z, made_trajectory().loss)
    np.testing.assert_array_equal(surface.surfacecolor, made_trajectory().accuracy)
    np.testing.assert_array_equal(path.z, made_trajectory().trajectory_loss)
    menu = [button.label for button in figure.layout.updatemenus[0].buttons]
    assert menu == ["Loss", "Loss, standard error", "Accuracy", "Accuracy, standard error"]
    text = figure.to_html(include_plotlyjs=False)
    assert '"showSendToCloud": false' in text
    bundle = figure._repr_mimebundle_()
    assert all(part["config"]["showSendToCloud"] is False for part in bundle.values() if isinstance(part, dict))


def test_curvature_is_called_and_counted_as_in_the_viewer():
    surface = made_surface()
    surface = surface.assign(convexity=surface.accuracy / 4, lambda_min=-surface.loss)
    _, bar = to_matplotlib(surface, color="convexity").axes
    assert bar.get_ylabel() == "Convexity |λmin/λmax|"
    np.testing.assert_allclose(bar.get_yticks(), np.arange(6) / 10, atol=1e-12)
    scene = to_plotly(surface, quantity="lambda_min").layout
    assert (scene.scene.zaxis.title.text, scene.margin.l) == ("Smallest eigenvalue", 0)


def test_plotly_keeps_the_numbers_of_its_axes_apart():
    low, high = to_plotly(made_line()).layout.yaxis2.range
    shares = np.array([made_line().train_accuracy, made_line().test_accuracy])
    room = 0.06 / 0.88 * np.ptp(shares)
    np.testing.assert_allclose([low, high], [shares.min() - room, shares.max() + room])


@pytest.mark.parametrize("view", ["surface", "contour"])
def test_plotly_leaves_the_path_out_where_it_is_not_shown(view):
    named = [
        [trace.name for trace in to_plotly(made_trajectory(), view=view, show_path=shown).data]
        for shown in (True, False)
    ]
    assert [names.count("trajectory") for names in named] == [1, 0]


def test_plotly_draws_contours_and_lines():
    contour, path, center = to_plotly(made_trajectory(), view="contour", levels=[1, 2, 3], colormap="gray").data
    np.testing.assert_array_equal(contour.z, made_trajectory().loss)
    assert (contour.contours.start, contour.contours.size, contour.contours.end) == (1, 1, 3)
    assert (path.mode, center.text) == ("lines+markers", ("center",))
    curves = {curve.name: (curve.yaxis, curve.line.dash) for curve in to_plotly(made_line()).data}
    assert curves == {
        "Train loss": ("y", "solid"),
        "Test loss": ("y", "dash"),
        "Train accuracy": ("y2", "solid"),
        "Test accuracy": ("y2", "dash"),
    }
    w = ResultWidget(made_surface(), view="contour")
    assert w.to_plotly().data[0].type == "contour"
    w.close()


def test_plotly_takes_no_markup():
    figure = to_plotly(made_surface(model="<img src=x onerror=alert(1)>"))
    assert figure.layout.title.text == "&lt;img src=x onerror=alert(1)&gt;"


def test_surfaces_of_several_seeds_stand_side_by_side_or_are_drawn_one_at_a_time():
    figure = to_matplotlib(made_seeds())
    assert [part.get_suptitle() for part in figure.subfigs] == ["ResNet, seed 3", "ResNet, seed 4"]
    for seed, index, heading in ((None, 0, "ResNet, seed 3"), (4, 1, "ResNet, seed 4")):
        drawn = to_plotly(made_seeds(), seed=seed)
        np.testing.assert_array_equal(drawn.data[0].z, made_seeds().loss[index])
        assert drawn.layout.title.text == heading
    with pytest.raises(ValueError, match=r"expected seed as one of \[3, 4\], got 5; try seed=3"):
        to_plotly(made_seeds(), seed=5)
    with pytest.raises(ValueError, match=r"expected no seed for what has no dimension of that name, got 3; leave"):
        to_plotly(made_surface(), seed=3)


def test_lines_of_several_seeds_are_a_band_in_both():
    rows = made_lines().loss.values
    band, *seeds, loss = to_plotly(made_lines()).data[:5]
    np.testing.assert_allclose(loss.y, np.median(rows, axis=0))
    low, high = np.quantile(rows, [0.25, 0.75], axis=0)
    np.testing.assert_allclose(band.y, [*low, *high[::-1]])
    np.testing.assert_array_equal([seed.y for seed in seeds], rows)
    assert (band.fill, to_plotly(made_lines()).data[-1].yaxis) == ("toself", "y2")
    median, *curves = [curve for curve in to_matplotlib(made_lines()).axes[0].lines if len(curve.get_xdata())]
    np.testing.assert_allclose(median.get_ydata(), loss.y)
    np.testing.assert_array_equal([curve.get_ydata() for curve in curves], rows)
    texts = [text.get_text() for text in to_matplotlib(made_lines()).axes[0].get_legend().get_texts()]
    assert texts[-1] == to_plotly(made_lines()).layout.legend.title.text == "median and quartiles of 3 seeds"


@pytest.mark.parametrize("made", [made_seeds, made_lines])
def test_a_widget_of_several_seeds_has_figures(made):
    w = ResultWidget(made(), view="contour")
    w.seed = 4
    assert w.to_matplotlib().axes
    title = w.to_plotly().layout.title.text
    assert title == ("ResNet, seed 4" if made is made_seeds else "ResNet")
    assert "image/png" in w._repr_mimebundle_()[0]
    w.close()
