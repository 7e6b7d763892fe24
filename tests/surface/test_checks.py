"""Attributes of files that come from anywhere: what is damaged is named, by every verb alike."""

from __future__ import annotations

import numpy as np
import pytest
from support.made import made_line, made_surface, made_trajectory

from lljupyter import load, save, show, to_html, to_matplotlib, to_plotly
from lljupyter.surface.io import netcdf

VERBS = {
    "to_html": lambda surface, folder: to_html(surface, folder / "page.html"),
    "to_plotly": lambda surface, folder: to_plotly(surface),
    "to_matplotlib": lambda surface, folder: to_matplotlib(surface),
    "show": lambda surface, folder: show(surface),
    "save": lambda surface, folder: save(surface, folder / "surface.nc"),
}
DAMAGED = [
    ("marks", "{"),
    ("marks", 5),
    ("marks", '{"a": [1, NaN]}'),
    ("marks", '{"a": [1, 2, 3]}'),
    ("marks", "[1, 2]"),
    ("n_samples", "many"),
    ("n_samples", np.array([1.0, 2.0])),
    ("seed", np.nan),
    ("seed", 0.5),
    ("explained_variance_ratio", "most"),
    ("explained_variance_ratio", np.ones((2, 2))),
    ("trajectory_captured", "all"),
    ("directions", np.ones(2)),
    ("norm", 3),
]


@pytest.mark.parametrize("made", [made_trajectory, made_line])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("name", "value"), DAMAGED)
def test_a_damaged_attribute_is_named(tmp_path, made, verb, name, value):
    surface = made().assign_attrs({name: value})
    with pytest.raises(ValueError, match=rf"expected the attribute '{name}' of the surface as a .* got .*; correct it"):
        VERBS[verb](surface, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("marks", "{"), ("n_samples", "many"), ("trajectory_captured", "all")])
def test_the_file_with_a_damaged_attribute_is_named(tmp_path, name, value):
    netcdf.write_netcdf(made_trajectory().assign_attrs({name: value}), tmp_path / "surface.nc")
    with pytest.raises(
        ValueError, match=rf"expected the attribute '{name}' of .*surface.nc as a .* got '.*'; surface ="
    ):
        load(tmp_path / "surface.nc")


def test_whole_numbers_of_any_type_are_right(tmp_path):
    surface = made_surface(n_samples=np.int32(7), seed=3.0, explained_variance_ratio=0.5)
    to_html(surface, tmp_path / "page.html")
    assert "cross-entropy on 7 samples" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    "value",
    [None, {"a": 1}, True, b"x", 10**30, [None], [1, "a"], [[1], [2, 3]], "a\0b", "\ud800", np.array(5, "M8[ns]")],
)
def test_what_netcdf_can_not_hold_is_refused(tmp_path, value):
    with pytest.raises(ValueError, match=r"expected texts, numbers and lists of either as attributes.* got 'odd' as"):
        save(made_surface(odd=value), tmp_path / "surface.nc")


@pytest.mark.parametrize(
    ("value", "loaded"),
    [
        (np.array(["a"]), "a"),
        (np.str_("a"), "a"),
        (["a", "b"], ["a", "b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(["a", "b"], dtype=object), ["a", "b"]),
        ([0.5], 0.5),
        ([np.nan, 1], [np.nan, 1.0]),
        (np.float32([1, 2]), [1.0, 2.0]),
        (np.int8(3), 3),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ],
    ids=repr,
)
def test_texts_numbers_and_lists_of_them_are_kept(tmp_path, value, loaded):
    surface = made_surface(mine=value)
    surface.loss.attrs["mine"] = value
    save(surface, tmp_path / "surface.nc")
    np.testing.assert_equal(load(tmp_path / "surface.nc").attrs["mine"], loaded)
    np.testing.assert_equal(load(tmp_path / "surface.nc").loss.attrs["mine"], loaded)


@pytest.mark.parametrize("name", ["", 3, "a\0b", ("a", 1)])
def test_attributes_with_names_that_netcdf_can_not_hold_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="expected attributes of the surface with texts as names, got"):
        save(made_surface().assign_attrs({name: 1}), tmp_path / "surface.nc")


def test_what_would_be_read_back_as_something_else_is_refused(tmp_path):
    surface = made_surface()
    surface.loss.attrs |= {"units": "days since 2000-01-01"}  # which makes dates of the losses
    with pytest.raises(ValueError, match=r"expected a Dataset that netCDF can hold, got one .*; convert it|leave out"):
        save(surface, tmp_path / "surface.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_version_that_is_no_number_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(netcdf, "FORMAT_VERSION", "one")
        save(made_surface(), tmp_path / "surface.nc")
    with pytest.raises(ValueError, match=r"expected the attribute 'format_version' of .*surface.nc as a whole number"):
        load(tmp_path / "surface.nc")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: s.drop_vars("trajectory_beta"), "expected numbers 'trajectory_beta' of the trajectory .* got only"),
        (lambda s: s.drop_dims("checkpoint"), r"expected numbers 'trajectory_alpha' .* got only \[\]; take the traj"),
        (lambda s: s.assign(evaluated=s.evaluated[0]), r"expected numbers 'evaluated' on .* got bool on \('alpha',\)"),
        (lambda s: s.assign(loss_predicted=s.loss[0]), r"expected numbers 'loss_predicted' on the dimensions"),
        (
            lambda s: s.assign_coords(alpha=list(map(str, s.alpha.values))),
            "expected numbers as coordinates along alpha",
        ),
        (lambda s: s.drop_vars("beta"), "expected numbers as coordinates along beta, got none; set them with"),
        (lambda s: s.expand_dims("seed"), "expected whole numbers as coordinates along seed, got none"),
    ],
)
@pytest.mark.parametrize("verb", ["to_html", "show"])
def test_missing_and_misplaced_parts_are_named(tmp_path, verb, damage, message):
    with pytest.raises(ValueError, match=message):
        VERBS[verb](damage(made_trajectory()), tmp_path)


@pytest.mark.parametrize("suffix", [".nc", ".h5", ".vts"])
def test_values_that_no_file_can_hold_are_named(tmp_path, suffix):
    surface = made_surface(3, 3)
    for odd in (surface.loss + 1j, surface.loss.astype(object)):
        for name in ("loss", "mine"):
            with pytest.raises(
                TypeError, match=rf"expected numbers, dates or texts to save, got \S+ in '{name}'; convert it"
            ):
                save(surface.assign({name: odd}), tmp_path / f"surface{suffix}")
    assert list(tmp_path.iterdir()) == []
    day = np.datetime64("2018-12-03", "ns")
    more = surface.assign_coords(label=("alpha", np.array(["a", "b", "c"], dtype=object)), day=day)
    if suffix == ".nc":
        save(more, tmp_path / "surface.nc")
        assert load(tmp_path / "surface.nc").label.values.tolist() == ["a", "b", "c"]
        assert load(tmp_path / "surface.nc").day == day
