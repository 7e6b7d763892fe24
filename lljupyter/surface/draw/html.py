"""Pages that anyone can open: one file with the viewer, the values and the recipe, and no network."""

from __future__ import annotations

import json
import os
import re
import zlib
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lljupyter import __version__
from lljupyter.process.atomic import atomic, checked_path
from lljupyter.surface.captions import describe, recipe
from lljupyter.surface.dataset import by_seed, of_seed, on_grid
from lljupyter.surface.frame import pack_dataset
from lljupyter.surface.style import check_names, check_texts, checked_names, checked_option

if TYPE_CHECKING:
    import xarray

OLD_BROWSER = "This page shows a landscape that you can turn, once JavaScript is on. Nothing is loaded from anywhere."


class Picture(NamedTuple):
    """One landscape of a page.

    Attributes:
        dataset: On the dimensions (beta, alpha).
        quantities: What can be drawn.
        title: Its heading; "" for the name of the model.
        style: Options of the style, checked.
        seed: Which one of surfaces of several seeds is shown; None for a single one, and for lines.
    """

    dataset: xarray.Dataset
    quantities: list[str]
    title: str
    style: dict[str, Any]
    seed: int | None = None

    def one(self) -> xarray.Dataset:
        """Return what a still picture shows: of several surfaces the one that is shown; lines are shown together."""
        return self.dataset if self.seed is None else of_seed(self.dataset, self.seed)


def to_html(
    surfaces: xarray.Dataset | Sequence[xarray.Dataset],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    names: Sequence[str] | None = None,
    caption: str = "",
    columns: int | None = None,
    **style: Any,
) -> None:
    """Write a page that shows surfaces or lines as the widget does, in one file that needs neither kernel nor network.

    All views and controls that compute nothing work, several landscapes are compared (see ``compare``), and a table
    states how they were computed. The page may be sent to anyone: it asks for nothing from anywhere, and its content
    security policy lets no script run but the viewer.

    Args:
        surfaces: What ``loss_surface``, ``loss_line`` or ``load`` returned, or several of them. One with a dimension
            ``seed`` is shown as several.
        path: Where to write, ``.html``. The file is whole or not there.
        title: The heading of the page.
        names: The headings of the landscapes; None for the names of the models.
        caption: A text of your own above the pictures.
        columns: How many stand in a row; None for as many as have room.
        **style: Options of the style, such as ``view="contour"``, ``scale="log"`` or ``colormap="magma"``; see
            ``LandscapeWidget``.

    Raises:
        TypeError: If one is not a Dataset, or an option is unknown.
        ValueError: If one has nothing to draw, they have no quantity in common, or an option is out of range.

    Example:
        >>> to_html(loss_surface(model, loader), "landscape.html", view="contour")  # doctest: +SKIP
    """
    write_page(pictures(surfaces, names, style), path, title=title, caption=caption, columns=columns)


def pictures(
    surfaces: xarray.Dataset | Sequence[xarray.Dataset], names: Sequence[str] | None, style: dict[str, Any]
) -> list[Picture]:
    """Check surfaces and the options of their style, see ``to_html``."""
    several = list(surfaces) if isinstance(surfaces, (list, tuple)) else [surfaces]
    split = [part for surface in several for part in by_seed(surface)]
    if not split:
        raise ValueError("expected at least one surface, got none; pass what loss_surface(model, loader) returned")
    titles = checked_names(names, len(split), "a landscape") or [label for _, label in split]
    check_names(style)
    checked = [on_grid(surface, seeds=True) for surface, _ in split]
    common = [name for name in checked[0][1] if all(name in other for _, other in checked)]
    if not common:
        raise ValueError(
            "expected a quantity that all surfaces have, got " + ", ".join(str(known) for _, known in checked)
        )
    drawn = {"quantity": common[0], "show_panel": len(split) == 1, **style}
    drawn = {name: checked_option(name, value, common) for name, value in drawn.items()}
    return [Picture(*surface, title, drawn) for surface, title in zip(checked, titles, strict=True)]


def write_page(shown: Sequence[Picture], path: str | os.PathLike[str], **options: Any) -> None:
    """Write a page; see ``page`` for the options."""
    path = checked_path(path, "landscape.html")
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"expected a path that ends in .html, got {path}; try {path.with_suffix('.html')}")
    text = page(shown, **options)
    with atomic(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "replace"))


def page(shown: Sequence[Picture], *, title: str = "", caption: str = "", columns: int | None = None) -> str:
    """Return a page as text.

    Whatever comes from outside (names, attributes) is escaped; JSON is a block of data; scripts and styles are named
    in the policy by their hashes, so that nothing else could run.

    Args:
        shown: The landscapes.
        title: The heading of the page; "" leaves it to a single landscape to have one.
        caption: A text above the pictures.
        columns: How many stand in a row; None for as many as have room.

    Raises:
        TypeError: If a text is none.
        ValueError: If no point of a surface is evaluated, or ``columns`` is below 1.
    """
    check_texts(title=title, caption=caption)
    if columns is not None and (isinstance(columns, bool) or not isinstance(columns, int) or columns < 1):
        raise ValueError(f"expected columns as a whole number of at least 1 or None, got {columns!r}; try columns=2")
    group = "page" if len(shown) > 1 else ""
    saved = json.dumps([_saved(picture, group) for picture in shown], ensure_ascii=True, allow_nan=False)
    script, style = _script(), (files("lljupyter") / "surface" / "draw" / "page.css").read_text(encoding="utf-8")
    if columns is not None:
        style += f".grid {{ grid-template-columns: repeat({columns}, minmax(0, 1fr)); }}\n"
    heading = title or ", ".join(dict.fromkeys(_title(picture) for picture in shown))
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}' '{_viewer_style()}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    figures = "\n".join(
        f'<figure><div class="landscape"></div><figcaption>{_escape(describe(picture.dataset))}</figcaption></figure>'
        for picture in shown
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="lljupyter {__version__}">
<title>{_escape(heading)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main{' class="several"' if group else ""}>
<h1{"" if title else ' class="unseen"'}>{_escape(heading)}</h1>
{f"<p>{_escape(caption)}</p>" if caption else ""}
<noscript><p>{OLD_BROWSER}</p></noscript>
<div class="grid">
{figures}
</div>
<details class="recipe" open>
<summary>How it was computed</summary>
<div class="scroll">{_table(shown)}</div>
</details>
<footer>Saved with lljupyter {__version__}.</footer>
</main>
<script type="application/json" id="landscapes">{_inert(saved)}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def _saved(picture: Picture, group: str) -> dict[str, Any]:
    """A landscape as the page's script reads it, see ``js/src/page.ts``."""
    dataset, quantities, title, style, seed = picture
    if "evaluated" in dataset and not dataset["evaluated"].any():
        raise ValueError("expected a surface with points, got one where none is evaluated yet; wait for it: w.wait()")
    frame, meta = pack_dataset(dataset, quantities)
    # The bytes of floats that are alike are alike by their place in the number: this way they take less room.
    planes = np.frombuffer(frame, np.uint8).reshape(-1, 4).T.tobytes()
    return {
        "traits": {**style, "meta": meta, "title": title, "group": group, "live": False, "seed": seed},
        "frame": b64encode(zlib.compress(planes, 9)).decode(),
    }


def _script() -> str:
    """The viewer and what starts it, as one inline module."""
    static = files("lljupyter") / "jupyter" / "static"
    viewer, start = ((static / name).read_text(encoding="utf-8") for name in ("widget.js", "page.js"))
    named, count = re.subn(r"export\s*\{\s*(\w+) as default\s*\};?\s*$", r"const lljupyterViewer=\1;\n", viewer)
    if count != 1:
        raise RuntimeError("expected the viewer to have a default export at its end; rebuild it: npm run build in js/")
    # Within a string or a template these mean the same, and elsewhere the bundle has none of them.
    return (named + start).replace("</script", r"<\/script").replace("<!--", r"<\!--")


def _viewer_style() -> str:
    """The hash of the style that the viewer brings along, as its build found it."""
    viewer = (files("lljupyter") / "jupyter" / "static" / "widget.js").read_text(encoding="utf-8")
    found = re.search(r"^/\* style (sha256-[\w+/=]+) \*/$", viewer[:1000], re.MULTILINE)
    assert found, "the viewer was built without the hash of its style"
    return found[1]


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _escape(text: str) -> str:
    return escape(text.replace("\0", "\ufffd"), quote=True)


def _inert(text: str) -> str:
    """JSON that no parser of HTML takes for markup."""
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _title(picture: Picture) -> str:
    return picture.title or str(picture.dataset.attrs.get("model", "Loss landscape"))


def _table(shown: Sequence[Picture]) -> str:
    """The recipes side by side; what all have in common is said once."""
    columns = [recipe(picture.dataset) for picture in shown]
    rows = []
    for label in dict.fromkeys(label for column in columns for label in column):
        texts = [column.get(label, "") for column in columns]
        cells = "".join(f"<td>{_escape(text)}</td>" for text in texts)
        if len(set(texts)) == 1:
            cells = f'<td colspan="{len(texts)}">{_escape(texts[0])}</td>'
        rows.append(f'<tr><th scope="row">{_escape(label)}</th>{cells}</tr>')
    head = ""
    if len(shown) > 1:
        names = "".join(f'<th scope="col">{_escape(_title(picture))}</th>' for picture in shown)
        head = f"<thead><tr><td></td>{names}</tr></thead>"
    return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"
