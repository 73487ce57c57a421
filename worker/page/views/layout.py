"""The frame of every view: landmarks, navigation, and updates that a visitor can pause."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from nicegui import ui

from worker.page.context import PageContext
from worker.page.views.markup import escape
from worker.page.views.style import CSS

VIEWS: Final = (
    ("/", "Now"),
    ("/streams", "Streams"),
    ("/try", "Try it"),
    ("/break", "Break it"),
    ("/dead-letters", "Dead letters"),
    ("/model", "Model"),
)
_UPDATE_S: Final = 1.0


class Frame:
    """What a view adds to its frame. `title` holds the heading."""

    def __init__(self, title: ui.element) -> None:
        self._title = title
        self._is_paused = False
        self._toggle: ui.button | None = None

    def every_second(self, update: Callable[[], Any]) -> None:
        """Call `update` now and once a second, until the visitor pauses or leaves. Adds the button that pauses."""
        if self._toggle is None:
            with self._title:
                self._toggle = ui.button("Pause updates", on_click=self._switch, color=None).props("flat no-caps")
        update()

        def tick() -> None:
            if not self._is_paused:
                update()

        ui.timer(_UPDATE_S, tick)

    def _switch(self) -> None:
        self._is_paused = not self._is_paused
        if self._toggle:
            self._toggle.set_text("Resume updates" if self._is_paused else "Pause updates")


@contextmanager
def framed(context: PageContext, path: str, title: str) -> Iterator[Frame]:
    """The page around a view at `path`: header with navigation, then the view under its heading."""
    ui.add_css(CSS)
    ui.page_title(f"{title} - Streaming sentiment")
    with ui.header(fixed=False), ui.element("div").classes("top"):
        ui.html("<strong>Streaming sentiment</strong>", sanitize=False)
        with ui.element("nav").props('aria-label="Views"'):
            for target, name in VIEWS:
                if target == "/break" and context.demo is None:
                    continue
                link = ui.link(name, target)
                if target == path:
                    link.props("aria-current=page")
    top = ui.element("div").classes("title")
    with top:
        ui.html(escape(title), tag="h1", sanitize=False)
    ui.skip_link(target=top)
    yield Frame(top)


def block(content: str = "") -> ui.html:
    """A block of markup whose texts are escaped already."""
    return ui.html(content, sanitize=False)


def heading(text: str) -> None:
    """A heading of the second level."""
    ui.html(text, tag="h2", sanitize=False)
