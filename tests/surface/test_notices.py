"""What results show by themselves, and how their warnings are written in figures."""

from __future__ import annotations

import numpy as np
import pytest
import xarray
from support.made import made_line, made_seeds, made_surface

from lljupyter import to_matplotlib, to_plotly
from lljupyter.surface.dataset import of_seed
from lljupyter.surface.frame import pack_dataset
from lljupyter.surface.notices import caption, noted, notices_of, summary

LONG = "2 tensors do not move, of which the picture shows nothing: " + ", ".join(
    f"'layer{i}.weight'" for i in range(40)
)


def flat(surface: xarray.Dataset, name: str = "loss", value: float = 2.5) -> xarray.Dataset:
    return surface.assign({name: xarray.full_like(surface[name], value)})


def test_an_ordinary_result_has_nothing_to_warn_of():
    for result in (made_surface(), made_line(), made_seeds()):
        assert notices_of(result) == []


@pytest.mark.parametrize(("n_alpha", "n_beta"), [(5, 1), (3, 3), (31, 25)])
def test_flat_to_the_last_bit(n_alpha, n_beta):
    surface = flat(made_surface(n_alpha, n_beta))
    (line,) = notices_of(surface)
    assert line.startswith(f"the loss is exactly 2.5 at all {n_alpha * n_beta} points: what moves")
    surface["loss"][0, 0] = np.nextafter(2.5, 3)
    assert notices_of(surface) == []


def test_a_few_points_may_be_equal():
    assert notices_of(flat(made_surface(2, 2))) == []


def test_points_that_are_not_evaluated_do_not_count():
    surface = made_surface(9, 9)
    known = np.zeros((9, 9), dtype=bool)
    known[2:5, 2:5] = True
    half = flat(surface).where(known).assign(evaluated=(("beta", "alpha"), known))
    assert notices_of(half)[0].startswith("the loss is exactly 2.5 at all 9 points")
    assert notices_of(half.transpose("alpha", "beta")) == notices_of(half)
    half["loss"][0, 0] = 3.0
    assert len(notices_of(half)) == 1


def test_an_accuracy_without_change_is_no_news_beside_a_loss():
    surface = flat(made_surface(), "accuracy", 1.0)
    assert notices_of(surface) == []
    assert notices_of(surface[["accuracy", "evaluated"]])[0].startswith("the accuracy is exactly 1 at all")
    assert len(notices_of(flat(surface))) == 1


def test_nothing_finite():
    surface = flat(made_surface(3, 1), "loss", np.nan)
    assert notices_of(surface) == ["the loss is NaN at all 3 points"]
    surface["loss"][0, 1] = np.inf
    assert notices_of(surface) == ["the loss is not finite at any of the 3 points"]
    surface["loss"][0, 0] = 1.0
    assert notices_of(surface) == []


def test_eigenvalues_may_be_equal_or_nan():
    surface = made_surface(5, 5)
    same = dict.fromkeys(("lambda_max", "hvps"), surface.loss * 0 + 2.0)
    assert notices_of(surface.assign(**same, lambda_min=surface.loss * np.nan, convexity=surface.loss * np.nan)) == []


@pytest.mark.parametrize("attribute", ["precision", "outputs_precision"])
@pytest.mark.parametrize("kind", ["bfloat16", "float16", "bfloat16, float32"])
def test_few_distinct_values_in_half_precision(attribute, kind):
    surface = made_surface(9, 9)
    coarse = surface.assign(loss=(surface.loss / 3).round() * 3)
    n = len(np.unique(coarse.loss))
    assert 1 < n < 40
    assert notices_of(coarse) == []  # in full precision they are the model's
    (line,) = notices_of(coarse.assign_attrs({attribute: kind}))
    assert line.startswith(f"the loss has {n} distinct values at 81 points: {kind.split(',')[0]} is too coarse")
    assert notices_of(surface.assign_attrs({attribute: kind})) == []


def test_warnings_of_several_seeds_name_those_that_they_concern():
    both = made_seeds().assign_attrs(warnings="of all\nof one (seed 4)")
    both["loss"][0] = 1.0
    flat_one = "the loss is exactly 1 at all 99 points: what moves on this plane does not change it"
    assert notices_of(both) == ["of all", "of one (seed 4)", f"{flat_one} (seed 3)"]
    assert notices_of(of_seed(both, 3)) == ["of all", flat_one]
    assert notices_of(of_seed(both, 4)) == ["of all", "of one"]
    _, meta = pack_dataset(both, ["loss"])
    assert meta["warnings"] == notices_of(both)


def test_the_attribute_may_come_from_anywhere():
    assert noted({"warnings": "a\n\n  b \n"}) == ["a", "b"]
    assert noted({"warnings": 3}) == ["3"]
    assert max(map(len, noted({"warnings": "x" * 5000}))) == 1001
    assert len(noted({"warnings": "x\n" * 5000})) == 50
    assert "warnings" not in pack_dataset(made_surface(), ["loss"])[1]


def test_a_caption_has_a_few_short_rows():
    assert caption([], 60) == []
    assert caption(["short"], 60) == ["Warning: short"]
    assert summary(["a", "b", "c"]) == ("a", "2 more")
    for width in (40, 60, 97):
        rows = caption([LONG, "b", "c"], width)
        assert len(rows) <= 3
        assert max(map(len, rows)) <= width
        assert rows[-1].endswith("(and 2 more)")


@pytest.mark.parametrize(
    ("shown", "style"),
    [
        (made_surface, {}),
        (made_surface, {"view": "surface"}),
        (made_line, {}),
        (made_seeds, {}),
    ],
)
def test_figures_have_the_warnings_below_clear_of_all_else(shown, style):
    figure = to_matplotlib(shown(warnings=f"{LONG}\nb") if shown is not made_seeds else warned_seeds(), **style)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    parts = figure.subfigs or [figure]
    for part in parts:
        text = part._supxlabel
        assert text.get_text().startswith("Warning: 2 tensors")
        box = text.get_window_extent(renderer)
        assert figure.bbox.contains(box.x0, box.y0)
        assert figure.bbox.contains(box.x1, box.y1)
        assert part.bbox.x0 <= box.x0 < box.x1 <= part.bbox.x1
        for axes in part.axes:
            assert axes.get_tightbbox(renderer).y0 >= box.y1 - 0.5


def warned_seeds() -> xarray.Dataset:
    return made_seeds().assign_attrs(warnings=f"{LONG}\nb")


def test_figures_without_warnings_have_no_caption():
    assert to_matplotlib(made_surface())._supxlabel is None


def test_interactive_figures_have_the_warnings_in_a_margin_of_their_own():
    hostile = made_surface(warnings="<b>bold</b>\nb")
    figure = to_plotly(hostile, view="contour")
    (note,) = figure.layout.annotations
    assert note.text == "Warning: &lt;b&gt;bold&lt;/b&gt; (and 1 more)"
    plain = to_plotly(made_surface(), view="contour")
    assert not plain.layout.annotations
    assert figure.layout.margin.b > plain.layout.margin.b
