"""The figure that is returned. Imports matplotlib: load it only when a picture is wanted."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure of its own, with no window system and nothing of pyplot, that notebooks show as a picture.

    Where pyplot's own support is loaded, that shows it; else the method below is what a notebook looks for.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=min(self.dpi, 150))
        return stream.getvalue()
