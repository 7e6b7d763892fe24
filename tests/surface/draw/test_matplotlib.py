"""Figures: compared with the pictures in ``baseline``, and what must hold for all of them.

``pytest tests/surface/draw/test_matplotlib.py --mpl-generate-path=tests/surface/draw/baseline`` writes the
pictures anew.
"""

from __future__ import annotations

import io
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
import xarray
from PIL import Image
from support.made import made_half, made_line, made_lines, made_surface, made_trajectory
from support.reference import TESTS

from lljupyter import compare, to_matplotlib, to_plotly
from lljupyter.jupyter.result import ResultWidget
from lljupyter.surface.draw.matplotlib import png
from lljupyter.surface.draw.paths import find_drops


def made_convexity() -> xarray.Dataset:
    surface = made_surface()
    return surface.assign(convexity=np.abs(surface.loss - 2) / 20)


MODELS = '{"model a": [-0.5, -0.5], "cost $b$": [0.5, 0.6]}'
FIGURES = {
    "contour": (made_surface(), {}),
    "paper": (made_surface(), {"levels": "paper", "filled": False, "colormap": "magma"}),
    "log": (made_surface(), {"scale": "log", "title": "Logarithmic $"}),
    "surface": (made_surface(), {"view": "surface"}),
    "colored": (made_surface(), {"view": "surface", "scale": "log", "color": "accuracy", "camera": {"azimuth": 0.6}}),
    "line": (made_line(), {}),
    "band": (made_lines(), {}),
    "convexity": (made_convexity(), {"quantity": "convexity"}),
    "trajectory": (made_trajectory(marks=MODELS), {}),
    "run": (made_trajectory(), {"view": "surface"}),
    "half": (made_half(), {"show_points": True}),
    "several": ([made_surface(), made_surface(steep=2.5)], {"names": ["flat", "steep"]}),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.skipif(
    tuple(map(int, matplotlib.__version__.split(".")[:2])) < (3, 11),
    reason="the pictures in baseline were drawn with matplotlib 3.11; those of 3.10 differ",
)
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.mpl_image_compare(baseline_dir="baseline", savefig_kwargs={"dpi": 60}, tolerance=8, style="default")
def test_figures(name):
    surface, options = FIGURES[name]
    return to_matplotlib(surface, **options)


def pixels(figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png(figure))).convert("L"), dtype=float)


def test_a_figure_that_differs_is_found():
    """Alpha and beta the wrong way round, another color map, a missing curve: above the tolerance of the comparison."""
    from matplotlib.testing.compare import calculate_rms

    right = pixels(to_matplotlib(made_surface(25, 25)))
    turned = made_surface(25, 25)
    turned["loss"] = (("beta", "alpha"), turned.loss.values.T)
    assert calculate_rms(right, pixels(to_matplotlib(turned))) > 8
    assert calculate_rms(right, pixels(to_matplotlib(made_surface(25, 25), colormap="magma"))) > 8
    line = pixels(to_matplotlib(made_line()))
    assert calculate_rms(line, pixels(to_matplotlib(made_line().drop_vars("test_accuracy")))) > 8


@pytest.mark.parametrize("name", ["contour", "surface", "line", "trajectory", "log"])
def test_files_hold_vectors(tmp_path, name):
    surface, options = FIGURES[name]
    figure = to_matplotlib(surface, **options)
    figure.savefig(tmp_path / "figure.svg")
    figure.savefig(tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    root = ElementTree.parse(tmp_path / "figure.svg").getroot()
    assert len([element for element in root.iter() if element.tag.endswith("}path")]) > 30
    images = [element for element in root.iter() if element.tag.endswith("}image")]
    assert len(images) <= (name == "surface")  # its color bar has no bands


LIGHT = """
import sys, lljupyter
from support.made import made_surface
figure = lljupyter.to_matplotlib(made_surface())
assert figure._repr_png_().startswith(b"\\x89PNG")
assert "matplotlib.pyplot" not in sys.modules
assert "torch" not in sys.modules and "plotly" not in sys.modules and "anywidget" not in sys.modules
"""


def test_no_state_of_pyplot_is_touched():
    where = str(TESTS)  # where ``support`` is
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, cwd=where, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_paper_s_levels_are_drawn():
    figure = to_matplotlib(made_surface(), levels="paper", filled=False)
    labels = {text.get_text() for text in figure.axes[0].texts}
    assert {"0.1", "0.6", "1.1", "1.6", "2.1"} & labels >= {"0.6", "1.1"}


def test_axes_tell_the_explained_variance():
    axes = to_matplotlib(made_trajectory()).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("alpha (PC 1: 72.0%)", "beta (PC 2: 21.0%)")
    assert to_matplotlib(made_surface()).axes[0].get_xlabel() == "alpha"


def test_a_line_has_two_axes_and_test_is_dashed():
    loss, accuracy = to_matplotlib(made_line()).axes
    assert [(line.get_label(), line.get_linestyle()) for line in loss.lines] == [
        ("Train loss", "-"),
        ("Test loss", "--"),
    ]
    np.testing.assert_array_equal(loss.lines[1].get_ydata(), made_line().test_loss)
    assert [line.get_linestyle() for line in accuracy.lines] == ["-", "--"]
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("Loss", "Accuracy")
    shares = np.array([made_line().train_accuracy, made_line().test_accuracy])
    room = 0.06 / 0.88 * np.ptp(shares)
    np.testing.assert_allclose(accuracy.get_ylim(), [shares.min() - room, shares.max() + room])


def test_a_surface_of_one_row_is_a_line():
    (axes, _) = to_matplotlib(made_surface(31, 1)).axes
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), made_surface(31, 1).alpha)


@pytest.mark.parametrize("options", [{}, {"size": (9, 3.4)}])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_numbers_below_a_narrow_panel_do_not_touch(columns, options):
    size = options.get("size", (5.4 * (0.2 + 0.8 * columns), 4.4))
    figure = to_matplotlib([made_surface()] * 3, columns=columns, size=size)
    figure.canvas.draw()
    gap = 0.08 * figure.dpi
    for part in figure.subfigs[:3]:
        extents = [label.get_window_extent() for label in part.axes[0].get_xticklabels() if label.get_text()]
        assert len(extents) >= 3
        assert all(left.x1 + gap < right.x0 for left, right in pairwise(extents))


@pytest.mark.parametrize("view", ["contour", "surface"])
def test_a_run_without_a_drop_of_the_learning_rate_is_drawn(view):
    run = made_trajectory()
    steady = run.assign(trajectory_learning_rate=("checkpoint", np.full(12, 0.1)))
    for surface in (run.drop_vars("trajectory_learning_rate"), steady):
        (points,) = [part for part in to_matplotlib(surface, view=view).axes[0].collections if part.get_zorder() == 6]
        assert len(points.get_offsets()) == 12


def test_a_single_point_is_drawn():
    figure = to_matplotlib(made_surface(1, 1))
    (marker,) = figure.axes[0].lines
    assert (marker.get_marker(), list(marker.get_xdata())) == ("o", [0])
    assert to_plotly(made_surface(1, 1)).data[0].mode == "markers"


def test_several_have_one_scale():
    figure = to_matplotlib([made_surface(), made_surface(steep=2.5)])
    bars = [axes.get_ylim() for part in figure.subfigs for axes in part.axes[1:]]
    assert bars[0] == bars[1]


def test_a_widget_is_drawn_as_it_is():
    w = ResultWidget(made_surface(), view="contour", colormap="magma", title="Mine")
    drawn = to_matplotlib(made_surface(), colormap="magma", names=["Mine"])
    np.testing.assert_allclose(pixels(w.to_matplotlib()), pixels(drawn), rtol=1e-6)
    c = compare(w, made_surface(steep=2), names=["a", "b"])
    assert [part.get_suptitle() for part in c.to_matplotlib().subfigs] == ["a", "b"]
    c.close()


@pytest.mark.parametrize("draw", [to_matplotlib, to_plotly])
@pytest.mark.parametrize(
    ("surface", "options", "kind", "message"),
    [
        ("surface.nc", {}, TypeError, "expected an xarray.Dataset, got str"),
        (made_surface(), {"quantity": "f1"}, ValueError, "expected quantity as one of .* got 'f1'"),
        (made_surface(), {"views": 1}, TypeError, "expected an option of the style, one of .* got 'views'"),
        (made_surface(), {"title": 5}, TypeError, "expected title as a text, got 5; try title="),
        (made_surface() * np.nan, {}, ValueError, "expected finite values of 'loss' to draw, got none"),
        (made_surface() * -1, {"scale": "log"}, ValueError, "expected finite positive values"),
    ],
)
def test_what_can_not_be_drawn_is_refused(draw, surface, options, kind, message):
    with pytest.raises(kind, match=message):
        draw(surface, **options)


def test_a_size_and_names_are_checked():
    with pytest.raises(
        ValueError, match=r"expected size as \(width, height\) in inches, got \(0, 4\); try size=\(5, 4\)"
    ):
        to_matplotlib(made_surface(), size=(0, 4))
    with pytest.raises(ValueError, match=r"expected 2 names, one a surface, got 'ab'; try names=\['a', 'b'\]"):
        to_matplotlib([made_surface(), made_surface()], names="ab")
    with pytest.raises(ValueError, match="expected 2 names, one a surface, got 5"):
        to_matplotlib([made_surface(), made_surface()], names=5)
    with pytest.raises(ValueError, match=r"expected size as \(width, height\) in inches, got \('a', 'b'\)"):
        to_matplotlib(made_surface(), size=("a", "b"))
    with pytest.raises(TypeError, match="expected filled as True or False, got 'no'; try filled=True"):
        to_matplotlib(made_surface(), filled="no")
    with pytest.raises(ValueError, match="expected at least one surface, got none"):
        to_matplotlib([])
    with pytest.raises(ValueError, match=r"expected quantity as one of .* got 'f1'"):
        to_matplotlib(made_line(), quantity="f1")
    with pytest.raises(TypeError, match=r"expected an option of the style, one of .* got 'views'"):
        to_matplotlib(made_line(), views=1)


def test_several_lines_have_one_scale_that_holds_their_curves():
    low, high = made_line(), made_line()
    high["test_loss"] = high.test_loss * 3
    high.test_loss[0] = np.inf
    for scale in ("linear", "log"):
        reaches = [part.axes[0].get_ylim() for part in to_matplotlib([low, high], scale=scale).subfigs]
        assert reaches[0] == reaches[1]
        assert reaches[0][1] > float(high.test_loss[1:].max())
        assert reaches[0][0] < float(low.train_loss.min())
    clipped = to_matplotlib([low, high], clip=1.0).subfigs[0].axes[0].get_ylim()
    assert clipped[1] < 1.1
    rows = [part.axes[0].get_ylim() for part in to_matplotlib([made_surface(9, 1), made_surface(1, 9)]).subfigs]
    assert rows[0] == rows[1]


def test_compared_lines_keep_all_of_their_seeds():
    lines = xarray.concat([made_surface(9, 1, steep) for steep in (1.0, 2.0)], dim="seed").assign_coords(seed=[3, 4])
    c = compare(lines, lines.isel(beta=0, drop=True), names=["a", "b"])
    for part in c.to_matplotlib().subfigs:
        assert len(part.axes[0].collections) == 1  # the band
        assert part.axes[0].get_ylim()[1] > float(lines.loss.max())
    c.close()


def test_a_single_one_has_its_name():
    assert to_matplotlib([made_surface()], names=["mine"]).get_suptitle() == "mine"
    assert to_matplotlib(made_surface(), title="above").get_suptitle() == "above"
    assert to_matplotlib(made_surface()).get_suptitle() == ""
    both = to_matplotlib(made_surface(), names=["mine"], title="above")
    assert (both.get_suptitle(), both.subfigs[0].get_suptitle()) == ("above", "mine")
    c = compare(made_surface(), names=["alone"])
    assert c.to_matplotlib().get_suptitle() == "alone"
    c.close()


def test_numbers_of_a_scale_are_written_alike():
    surface = made_surface(9, 9)
    bar = to_matplotlib(surface.assign(loss=surface.loss * 1e8), scale="log").axes[1]
    texts = [label.get_text() for label in bar.get_yticklabels()]
    assert texts == ["3\u00d710⁶", "10⁷", "3\u00d710⁷", "10⁸", "3\u00d710⁸"]
    np.testing.assert_allclose(bar.get_yticks(), [3e6, 1e7, 3e7, 1e8, 3e8])
    percents = to_matplotlib(surface, quantity="accuracy").axes[1]
    assert [label.get_text() for label in percents.get_yticklabels()] == ["20 %", "40 %", "60 %", "80 %"]


def test_only_lines_with_room_are_numbered():
    surface = made_surface(41, 41)
    small = surface.assign(loss=(surface.alpha**2 + surface.beta**2))
    texts = {text.get_text() for text in to_matplotlib(small, levels=[0.005, 0.3, 0.6]).axes[0].texts}
    assert texts == {"0.3", "0.6"}


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([0.1, 0.1, 0.01, 0.001, 0.001], [2, 3]),
        ([0.1, 0.03, 0.1, 0.07, 0.04, 0.02, 0.005], []),  # a warm-up, then a half cosine
        ([0.1, np.nan, 0.01], []),
        (0.5 ** np.arange(12), []),
        (np.repeat(0.5 ** np.arange(12), 2), []),  # more than some
    ],
)
def test_lowered_learning_rates_are_told_from_schedules(rates, expected):
    assert np.flatnonzero(find_drops(np.asarray(rates))).tolist() == expected


@pytest.mark.parametrize(("n", "columns", "rows"), [(2, None, 1), (4, None, 2), (5, 2, 3), (3, 1, 3)])
def test_several_surfaces_stand_in_rows(n, columns, rows):
    figure = to_matplotlib([made_surface(7, 7)] * n, names=list("abcde"[:n]), columns=columns)
    assert [part._suptitle.get_text() for part in figure.subfigs[:n]] == list("abcde"[:n])
    assert len({round(part.bbox.y0) for part in figure.subfigs}) == rows


def test_a_number_of_columns_that_is_none_is_refused():
    with pytest.raises(ValueError, match="expected columns as a whole number of at least 1 or None, got 0; try column"):
        to_matplotlib([made_surface(), made_surface()], columns=0)


def test_still_pictures_are_small():
    figure = to_matplotlib([made_surface(25, 25, steep=steep) for steep in range(1, 7)], view="surface")
    assert len(png(figure)) < 150_000


def test_still_pictures_have_the_colors_of_the_figure():
    # Drawn for the second time, a figure may be laid out a little differently.
    surfaces = [made_surface(15, 15, steep=steep) for steep in (1, 9, 50)]
    figure, same = (to_matplotlib(surfaces, scale="log") for _ in range(2))
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    drawn, stored = (np.asarray(Image.open(io.BytesIO(x)).convert("RGB"), int) for x in (file.getvalue(), png(same)))
    assert np.abs(drawn - stored).max() < 20
