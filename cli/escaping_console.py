"""A Rich console on which texts from files are data: it writes no control character that is not its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from tledge.core.terminal_text import printable_lines


class EscapingConsole(Console):
    """Escapes each text as of :func:`tledge.core.terminal_text.printable_lines`, whatever is printed.

    Strings are escaped before they are laid out, so that columns keep their widths; anything else, such as ``Text``,
    when it is drawn. Line ends stay, since a table has some: ``Terminal`` and ``TableColumn`` escape those of names.
    """

    def render_str(self, text: str, **more: Any) -> Text:
        """Returns a string as a text, printable."""
        return super().render_str(printable_lines(text), **more)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yields the pieces of something, printable; the control codes of the console itself stay."""
        for segment in super().render(renderable, options):
            if segment.control is None and not segment.text.isprintable():
                yield Segment(printable_lines(segment.text), segment.style)
            else:
                yield segment
