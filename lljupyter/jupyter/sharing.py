"""What widgets hand on: pages that need no kernel, and snapshots that live in the notebook."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lljupyter.surface.html import Picture


class Shared:
    """A widget that can be written as a page; the base of single and of compared landscapes."""

    def _pictures(self) -> list[Picture]:
        raise NotImplementedError

    _columns: int | None = None

    def to_html(self, path: str | os.PathLike[str], *, title: str = "", caption: str = "") -> None:
        """Writes what is shown, as it is drawn now, as a page that needs neither kernel nor network.

        Args:
            path: Where to write, ``.html``.
            title: The heading of the page.
            caption: A text above the picture.

        Raises:
            ValueError: If no point is evaluated yet, or the path has another suffix.
        """
        from lljupyter.surface.html import write_page

        write_page(self._pictures(), path, title=title, caption=caption, columns=self._columns)
