"""Saved pages: what is in them. That they work is shown by ``tests/browser/test_saved_pages.py``."""

from __future__ import annotations

import base64
import json
import re
import zlib
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from support.jupyter.widgets import decoded
from support.made import made_half, made_line, made_seeds, made_surface, made_trajectory

from lljupyter import compare, to_html
from lljupyter.jupyter.result import ResultWidget
from lljupyter.surface.captions import captured_text, describe, recipe
from lljupyter.surface.dataset import on_grid
from lljupyter.surface.frame import pack_dataset

HOSTILE = "</script><img src=x onerror=alert(1)>"
PAGES = {
    "surface": made_surface(51, 51),
    "trajectory": made_trajectory(),
    "line": made_line(),
    "seeds": made_seeds(),
    "half": made_half(),
    "several": [made_surface(), made_surface(steep=3)],
    "large": made_surface(201, 201),
}


class Parsed(HTMLParser):
    """A page taken apart: attributes of its tags, and the text of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] in ("script", "style") and self.cdata_elem:
            self.blocks.append((json.dumps(self.tags[-1]), data))

    def state(self) -> list[dict]:
        return json.loads(next(data for tag, data in self.blocks if "landscapes" in tag))


def written(tmp_path, surfaces, **options) -> str:
    to_html(surfaces, tmp_path / "page.html", **options)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def unpacked(frame: str) -> bytes:
    planes = np.frombuffer(zlib.decompress(base64.b64decode(frame)), np.uint8)
    return planes.reshape(4, -1).T.tobytes()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_at_most_200_kB_over_its_data(tmp_path, name):
    shown = PAGES[name]
    text = written(tmp_path, shown)
    n_bytes = sum(len(unpacked(saved["frame"])) for saved in Parsed(text).state())
    size = (tmp_path / "page.html").stat().st_size
    print(f"{name}: {size / 1000:.0f} kB, of which {n_bytes / 1000:.0f} kB of data before they were packed")
    assert 60_000 < size <= 200_000 + n_bytes


def test_the_data_of_a_page_are_those_of_the_surface(tmp_path):
    surface = made_half()
    (saved,) = Parsed(written(tmp_path, surface, view="contour", levels=[2, 1])).state()
    frame, meta = pack_dataset(*on_grid(surface))
    assert unpacked(saved["frame"]) == frame
    assert saved["traits"]["meta"] == json.loads(json.dumps(meta))
    layers = decoded(saved["traits"]["meta"], unpacked(saved["frame"]))
    assert layers["loss"][8, 10] == np.float32(surface.loss[8, 10])
    look = {name: saved["traits"][name] for name in ("view", "levels", "quantity", "live", "group")}
    assert look == {"view": "contour", "levels": [1, 2], "quantity": "loss", "live": False, "group": ""}


def test_only_what_the_policy_names_by_its_hash_may_run(tmp_path):
    page = Parsed(written(tmp_path, made_surface(), columns=2))
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    hashes = set(re.findall(r"'(sha256-[^']+)'", policy))
    found = {
        f"sha256-{base64.b64encode(sha256(data.encode()).digest()).decode()}"
        for tag, data in page.blocks
        if "application/json" not in tag
    }
    assert len(found) == 2
    assert found < hashes
    assert len(hashes) == 3  # the third is the style that the viewer brings along


def test_hostile_strings_are_text(tmp_path):
    surface = made_surface(**{"model": HOSTILE, "norm": HOSTILE, HOSTILE: HOSTILE})
    surface[HOSTILE] = surface.loss
    nasty = f"{HOSTILE} \" ' & <!-- <script> \0 \u2028 {{}}"
    page = Parsed(written(tmp_path, surface, title=nasty, caption=nasty, names=[nasty]))
    tags = [tag for tag, _ in page.tags]
    assert (tags.count("script"), tags.count("img"), tags.count("style")) == (2, 0, 1)
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    (saved,) = page.state()
    assert saved["traits"]["title"] == nasty
    assert saved["traits"]["meta"]["title"] == HOSTILE
    assert HOSTILE in saved["traits"]["meta"]["layers"]


def test_the_code_is_without_what_ends_a_script(tmp_path):
    text = written(tmp_path, made_surface())
    assert text.count("</script") == 2
    assert "<!--" not in text
    assert "\0" not in text


def test_several_are_compared(tmp_path):
    text = written(tmp_path, [made_surface(), made_surface(21, seed=8)], names=["A", "B"], columns=2)
    first, second = (saved["traits"] for saved in Parsed(text).state())
    assert (first["title"], second["title"]) == ("A", "B")
    assert first["group"] == second["group"] != ""
    assert first["show_panel"] is False
    assert "<td>3</td><td>8</td>" in text
    assert '<td colspan="2">cross-entropy</td>' in text
    assert "repeat(2, minmax(0, 1fr))" in text


def test_seeds_are_shown_one_by_one(tmp_path):
    states = Parsed(written(tmp_path, made_seeds())).state()
    assert [saved["traits"]["title"] for saved in states] == ["ResNet, seed 3", "ResNet, seed 4"]
    assert [saved["traits"]["meta"]["seed"] for saved in states] == [3, 4]
    assert unpacked(states[0]["frame"]) != unpacked(states[1]["frame"])


def test_a_widget_is_saved_as_it_is_drawn(tmp_path):
    w = ResultWidget(made_surface(), view="contour", colormap="magma", clip=2, camera={"zoom": 2})
    w.title, w.scale = "Mine", "log"
    w.to_html(tmp_path / "page.html", caption="Words")
    text = (tmp_path / "page.html").read_text()
    (saved,) = Parsed(text).state()
    look = {name: saved["traits"][name] for name in ("view", "colormap", "clip", "camera", "title", "scale")}
    assert look == {
        "view": "contour",
        "colormap": "magma",
        "clip": 2,
        "camera": {"zoom": 2},
        "title": "Mine",
        "scale": "log",
    }
    assert "<p>Words</p>" in text
    w.close()


def test_a_comparison_is_saved_with_its_names(tmp_path):
    c = compare(made_surface(), made_surface(steep=2), names=["short", "noshort"], columns=1)
    c.landscapes[0].view = "contour"
    c.to_html(tmp_path / "page.html", title="Two")
    text = (tmp_path / "page.html").read_text()
    states = [saved["traits"] for saved in Parsed(text).state()]
    assert [state["title"] for state in states] == ["short", "noshort"]
    assert {state["view"] for state in states} == {"contour"}
    assert "<h1>Two</h1>" in text
    c.close()


def test_captions_say_what_is_drawn():
    assert describe(on_grid(made_surface())[0]) == (
        "The plane around ResNet, theta* + alpha delta + beta eta. "
        "Random directions of seed 3, cross-entropy on 1,200 samples, filter-normalized."
    )
    assert "81 of 289 points are evaluated" in describe(made_half())
    assert describe(made_trajectory()).endswith(" The plane captures 93 % of the path\u2019s variation.")
    assert captured_text(0.9981) == "The plane captures 99.8 % of the path\u2019s variation"
    assert "between ResNet (alpha = 0) and another" in describe(on_grid(made_line())[0])
    assert describe(on_grid(made_surface(1, 1))[0]).startswith(
        "The point alpha = 0, beta = 0 around ResNet, theta* + alpha delta + beta eta. Random directions of seed 3,"
    )
    assert "The point alpha = 0.5 between ResNet" in describe(on_grid(made_line().sel(alpha=[0.5]))[0])
    assert "theta* + alpha delta." in describe(on_grid(made_surface(9, 1))[0])


def test_the_viewer_has_the_same_words():
    told = (Path(__file__).parents[3] / "js" / "src" / "model" / "path.ts").read_text(encoding="utf-8")
    written = re.search(r"`(The plane captures )\$\{.*?\}( % of the .*?)`", told)
    assert written
    assert captured_text(0.5) == f"{written[1]}50{written[2]}"


def test_the_recipe_is_for_people():
    marks = '{"a": [0.0, 0.0], "b": [1.0, 0.25]}'
    told = {"directions_fingerprint": "ab", "precision": "bfloat16", "center_on_grid": 1, "odd": "{not JSON}"}
    rows = recipe(made_surface(marks=marks, evaluation_seconds='{"plain": 0.5}', **told))
    assert rows["Named points (alpha, beta)"] == "a (0, 0), b (1, 0.25)"
    assert rows["Fingerprint of the directions"] == "ab"
    assert rows["Precision of the computation"] == "bfloat16"
    assert rows["Center is a grid point"] == "yes"
    assert rows["Seconds per point of each strategy"] == "plain 0.5"
    assert rows["Odd"] == "{not JSON}"


def test_the_recipe_has_every_attribute():
    rows = recipe(made_trajectory(odd_thing=1.25, long="x" * 5000))
    assert rows["Explained variance"] == "0.72, 0.21"
    assert rows["Odd thing"] == "1.25"
    assert rows["alpha"] == "-1 to 1, 31 points"
    assert len(rows["Long"]) == 1001
    assert next(iter(rows)) == "Model"


@pytest.mark.parametrize(
    ("surfaces", "options", "kind", "message"),
    [
        ("landscape.nc", {}, TypeError, r"expected an xarray.Dataset, got str; loss_surface"),
        ([], {}, ValueError, "expected at least one surface, got none"),
        (made_surface(), {"views": "contour"}, TypeError, "expected an option of the style, .* got 'views'"),
        (made_surface(), {"view": "map"}, ValueError, "expected view as one of .* got 'map'"),
        (made_surface(), {"quantity": "f1"}, ValueError, "expected quantity as one of .* got 'f1'"),
        (made_surface(), {"show_points": "yes"}, TypeError, "expected show_points as True or False, got 'yes'"),
        (made_surface(), {"camera": 3}, TypeError, "expected camera as a dict, got 3"),
        (made_surface(), {"columns": 0}, ValueError, "expected columns as a whole number of at least 1"),
        (
            made_surface(),
            {"names": ["a", "b"]},
            ValueError,
            r"expected 1 name, one a landscape, got \['a', 'b'\]; try names=\['a'\]",
        ),
        (made_surface(), {"names": 5}, ValueError, "expected 1 name, one a landscape, got 5; try names="),
        (made_surface(), {"title": 5}, TypeError, "expected title as a text, got 5; try title='ResNet-56'"),
        (made_surface(), {"caption": None}, TypeError, "expected caption as a text, got None; try caption="),
        ([made_surface(), made_line()], {}, ValueError, "expected a quantity that all surfaces have"),
        (made_surface().isel(alpha=slice(0, 0)), {}, ValueError, "expected points along alpha, got none"),
        (made_surface().isel(alpha=[0, 1, 5]), {}, ValueError, "expected alpha ascending in even steps"),
        (made_surface()[["evaluated"]], {}, ValueError, "expected a Dataset with a quantity on"),
        (made_surface() * np.nan, {}, ValueError, "expected a surface with points, got one where none is evaluated"),
    ],
)
def test_what_can_not_be_shown_is_refused(tmp_path, surfaces, options, kind, message):
    if message.startswith("expected a surface with points"):
        surfaces = surfaces.assign(evaluated=surfaces.loss > 9)
    with pytest.raises(kind, match=message):
        to_html(surfaces, tmp_path / "page.html", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [5, None, ["page.html"]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(TypeError, match=r"expected the path of a file, got .*; try 'landscape.html'"):
        to_html(made_surface(), path)


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a path that ends in .html, got .*page.png; try .*page.html"):
        to_html(made_surface(), tmp_path / "page.png")
