"""What widgets hand on: pages that need no kernel, figures, and pictures that stay in the saved notebook."""

from __future__ import annotations

import os
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lljupyter.surface.draw.html import Picture

WIDGET = "application/vnd.jupyter.widget-view+json"


class Shared:
    """A widget that can be written as a page or a figure; the base of single and of compared landscapes."""

    log: Any
    _columns: int | None = None

    def _pictures(self) -> list[Picture]:
        raise NotImplementedError

    def to_html(self, path: str | os.PathLike[str], *, title: str = "", caption: str = "") -> None:
        """Write what is shown, as it is drawn now, as a page that needs neither kernel nor network.

        Args:
            path: Where to write, ``.html``.
            title: The heading of the page.
            caption: A text above the picture.

        Raises:
            ValueError: If no point is evaluated yet, or the path has another suffix.
        """
        from lljupyter.surface.draw.html import write_page

        write_page(self._pictures(), path, title=title, caption=caption, columns=self._columns)

    def to_matplotlib(self, *, title: str = "", filled: bool = True, size: tuple[float, float] | None = None) -> Figure:
        """Draw what is shown, as it is drawn now, as a figure for a paper; see ``lljupyter.to_matplotlib``.

        Args:
            title: A line above.
            filled: Whether contour maps are filled; else their lines are colored, as in the paper.
            size: (width, height) in inches.

        Raises:
            ValueError: If there is nothing to draw yet.
        """
        from lljupyter.surface.draw.matplotlib import draw

        shown = self._pictures()
        models = [str(picture.dataset.attrs.get("model", "")) if len(shown) > 1 else "" for picture in shown]
        names = [picture.title or model for picture, model in zip(shown, models, strict=True)]
        styled = [(picture.one(), picture.style) for picture in shown]
        return draw(styled, names, title=title, columns=self._columns, filled=filled, size=size)

    def snapshot(self, *, height: int = 780) -> Snapshot:
        """Return what is shown as it is drawn now, to be displayed in the notebook and to stay in it when it is saved.

        It can be turned and switched like the widget, without a kernel, also after ``nbconvert --to html``. If a
        notebook is not trusted, and on sites that show notebooks without their scripts, there is a still picture.

        Args:
            height: Of the frame, in pixels.

        Raises:
            ValueError: If no point is evaluated yet, or the height is no number above 0.
        """
        from lljupyter.surface.draw.html import page

        if isinstance(height, bool) or not isinstance(height, int) or height < 1:
            raise ValueError(f"expected height as a number of pixels above 0, got {height!r}; try height=780")
        return Snapshot(page(self._pictures(), columns=self._columns), self._png(), height, repr(self))

    def _png(self) -> bytes | None:
        """Return a still picture; None while there is nothing to draw."""
        from lljupyter.surface.draw.matplotlib import png

        try:
            return png(self.to_matplotlib())
        except Exception as error:  # that there is none must never keep a widget from being shown
            self.log.debug("no still picture: %s", error)
            return None

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, a still picture for programs that cannot show it, and a text that never changes.

        No HTML: JupyterLab prefers it in notebooks that are not trusted, strips it there, and shows nothing.
        """
        bundle = super()._repr_mimebundle_(**options)  # type: ignore[misc]
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None and (picture := self._still()) is not None:
            data["image/png"] = b64encode(picture).decode()
        return bundle

    def _still(self) -> bytes | None:
        """Return the still picture of the output; None if it would keep the widget waiting."""
        return self._png()


class Snapshot:
    """A page inside the notebook, with a still picture for programs that cannot show it.

    Args:
        page: The page as text.
        picture: A PNG file.
        height: Of the frame, in pixels.
        name: What it shows.
    """

    def __init__(self, page: str, picture: bytes | None, height: int, name: str) -> None:
        self._page, self._picture, self._height, self._name = page, picture, height, name

    def __repr__(self) -> str:
        """The same in every session, so that stored notebooks can be compared."""
        return f"snapshot of {self._name}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # The frame may run the page's own scripts and nothing else: it has no access to the notebook around it. What
        # removes it leaves the picture, which is hidden beside a frame only.
        frame = (
            f'<iframe sandbox="allow-scripts allow-downloads" allow="fullscreen" title="{escape(self._name)}" '
            f'width="100%" height="{self._height}" style="border: 0" srcdoc="{escape(self._page)}"></iframe>'
        )
        data = {"text/plain": repr(self)}
        if self._picture is not None:
            data["image/png"] = b64encode(self._picture).decode()
            style = "<style>.lljupyter-snapshot iframe + img { display: none }</style>"
            still = f'<img alt="{escape(self._name)}" src="data:image/png;base64,{data["image/png"]}">'
            frame = f"{style}{frame}{still}"
        return {"text/html": f'<div class="lljupyter-snapshot">{frame}</div>', **data}
