"""Every option of the widget is visible, with its default and its explanation, wherever a person looks for it."""

from __future__ import annotations

import re
import sys
from inspect import Parameter, getdoc, signature

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from lljupyter import LandscapeWidget, show
from lljupyter.compute.options import DEFAULTS, TABLES
from lljupyter.compute.signatures import explanations
from lljupyter.jupyter import extension
from lljupyter.jupyter.magics import ABOUT, LandscapeMagics
from lljupyter.jupyter.options import RESULT_DEFAULTS, STYLE_DEFAULTS, STYLE_TABLES, WIDGET_DEFAULTS, WidgetOptions
from lljupyter.jupyter.viewer import Landscape
from lljupyter.surface.style import STYLE

CALLS = {"the widget": LandscapeWidget, "the name that %load_ext adds": extension.LandscapeWidget}


def arguments_in(docstring: str) -> list[str]:
    section = docstring.split("Args:\n")[1].split("\n\n")[0]
    return re.findall(r"^    (\S+): .", section, re.MULTILINE)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_signature_has_every_option_with_its_default(call):
    parameters = dict(signature(call).parameters)
    assert list(parameters)[:2] == ["model", "loader"]
    options = list(parameters.values())[2:]
    assert {option.name: option.default for option in options} == WIDGET_DEFAULTS
    assert {option.kind for option in options} == {Parameter.KEYWORD_ONLY}
    assert "norm: Norm | None = 'filter', " in str(signature(call))  # without quotes around the type


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_help_explains_every_option_once(call):
    assert sorted(arguments_in(getdoc(call))) == sorted(["model", "loader", *WIDGET_DEFAULTS])
    assert "Options``" not in getdoc(call)


def test_results_take_the_options_of_style_and_a_seed():
    parameters = dict(signature(show).parameters)
    del parameters["surface"]
    assert {name: option.default for name, option in parameters.items()} == RESULT_DEFAULTS
    assert sorted(arguments_in(getdoc(show))) == sorted(["surface", *RESULT_DEFAULTS])


def test_every_option_has_a_type_a_default_and_an_explanation():
    assert set(WidgetOptions.__annotations__) == set(WIDGET_DEFAULTS)
    assert set(explanations(TABLES)) == set(DEFAULTS)
    assert set(explanations(STYLE_TABLES)) == set(RESULT_DEFAULTS)


def test_options_of_style_are_those_that_are_checked_and_the_traits_of_the_viewer():
    assert list(STYLE_DEFAULTS) == ["title", *STYLE]
    traits = {name: Landscape.class_traits()[name].default() for name in STYLE_DEFAULTS}
    assert {**traits, "quantity": None} == STYLE_DEFAULTS  # the first quantity depends on what is measured


def test_the_magic_shares_defaults_and_explanations():
    options = {action.dest: action for action in LandscapeMagics.landscape.parser._actions}
    shared = set(options) & set(WIDGET_DEFAULTS)
    assert shared == {"seed", "resolution", "view", "scale", "device", "max_samples"}
    for name in shared:
        assert options[name].default == WIDGET_DEFAULTS[name]
        assert options[name].help % {} == " ".join(ABOUT[name].split())


def test_tab_completes_the_options_after_loading_the_extension(monkeypatch):
    for name in ("displayhook", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    ip = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}, "Completer": {"use_jedi": False}}))
    ip.run_line_magic("load_ext", "lljupyter")
    for text, option in {"show_dr": "show_drop_lines=", "toler": "tolerance=", "max_s": "max_samples="}.items():
        line = f"LandscapeWidget(model, loader, {text}"
        assert option in ip.complete(text, line, len(line))[1]
