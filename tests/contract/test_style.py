"""One table of the options of the style: traits, signatures, documentation, checks and figures agree with it."""

from __future__ import annotations

import inspect
from typing import get_args, get_type_hints

import numpy as np
import pytest
import traitlets
from support.made import made_surface

from lljupyter import LandscapeWidget, to_matplotlib
from lljupyter.compute.signatures import explanations
from lljupyter.jupyter.options import STYLE_DEFAULTS, StyleOptions
from lljupyter.jupyter.viewer import Landscape
from lljupyter.surface.draw.scaling import make_scene
from lljupyter.surface.style import DEFAULTS, STYLE, checked_option

GOOD = {
    "name": ["loss"],
    "number": [3, 2.5, np.float32(1.5), None],
    "levels": ["auto", "paper", [1, 2], np.array([0.5, 0.25])],
    "range": [(0, 1), [0.5, 2], None],
    "camera": [{}, {"zoom": 2}, {"pan": (0, 1), "azimuth": 1}],
    "flag": [True, False],
}
BAD = {
    "choice": ["other", 1, None],
    "name": ["f1", 3],
    "number": ["3", np.nan, True, np.inf],
    "levels": ["some", [1, np.nan], 3],
    "range": [(1, 0), (1, 1), 3, (0, 1, 2)],
    "camera": [{"roll": 1}, {"zoom": 0}, 3],
    "flag": [1, "yes", None],
}


def test_traits_are_those_of_the_table():
    traits = Landscape.class_traits(sync=True)
    for name, option in STYLE.items():
        trait = traits[name]
        assert trait.default(None) == option.default, name
        assert (list(trait.values) if isinstance(trait, traitlets.Enum) else []) == list(option.choices), name
        assert isinstance(trait, traitlets.Bool) == (option.kind == "flag"), name
    shown = {name for name in traits if name.startswith("show_")}
    assert shown == {name for name, option in STYLE.items() if option.kind == "flag"}


def test_the_options_in_signatures_are_those_of_the_table():
    hints = get_type_hints(StyleOptions)
    assert list(hints) == ["title", *STYLE]
    assert {**STYLE_DEFAULTS, "quantity": "loss"} == {"title": "", **DEFAULTS}
    for name, option in STYLE.items():
        choices = get_args(hints[name]) if option.kind == "choice" else ()
        assert choices == option.choices, name
        assert (hints[name] is bool) == (option.kind == "flag"), name


def test_every_option_is_documented():
    documented = explanations([StyleOptions])
    assert list(documented) == ["title", *STYLE]
    for name, option in STYLE.items():
        assert all(f'"{choice}"' in documented[name] for choice in option.choices), name
        for owner in (Landscape, LandscapeWidget):
            assert f"{name}: " in (inspect.getdoc(owner) or ""), name


@pytest.mark.parametrize("name", STYLE)
def test_the_checks_are_those_of_the_table(name):
    option = STYLE[name]
    for value in option.choices or GOOD[option.kind]:
        checked_option(name, value, ["loss"])
    for value in BAD[option.kind]:
        with pytest.raises((ValueError, TypeError), match=f"expected (a )?{name} |expected a {name} zoom"):
            checked_option(name, value, ["loss"])


def test_figures_have_the_options_of_the_table(made):
    style = make_scene(made, {}).style
    assert {**style, "view": "surface"} == {name: option.default for name, option in STYLE.items()}
    for name, option in STYLE.items():
        values = [*option.choices, *([option.default] if option.kind != "camera" else [{"azimuth": 1.0}])]
        for value in values:
            to_matplotlib(made, **{name: value})


@pytest.fixture
def made():
    return made_surface(7, 5)
