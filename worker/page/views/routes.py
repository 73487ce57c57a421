"""The address of each view."""

from __future__ import annotations

from nicegui import ui

from worker.page.context import PageContext
from worker.page.views.break_it import break_view
from worker.page.views.dead_letters import dead_letters_view
from worker.page.views.layout import framed
from worker.page.views.model_card import model_view
from worker.page.views.now import now_view
from worker.page.views.streams import stream_view, streams_view
from worker.page.views.try_it import try_view


def add_views(context: PageContext) -> None:
    """Register every view with NiceGUI."""

    @ui.page("/")
    def now() -> None:
        with framed(context, "/", "Now") as frame:
            now_view(context, frame)

    @ui.page("/streams")
    def streams() -> None:
        with framed(context, "/streams", "Streams") as frame:
            streams_view(context, frame)

    @ui.page("/stream")
    def stream(topic: str = "", name: str = "") -> None:
        with framed(context, "/stream", f"Stream {name}") as frame:
            stream_view(context, frame, topic, name)

    @ui.page("/try")
    def try_it() -> None:
        with framed(context, "/try", "Try it") as frame:
            try_view(context, frame)

    @ui.page("/dead-letters")
    def dead_letters() -> None:
        with framed(context, "/dead-letters", "Dead letters") as frame:
            dead_letters_view(context, frame)

    @ui.page("/model")
    def model_card() -> None:
        with framed(context, "/model", "Model") as frame:
            model_view(context, frame)

    if context.demo is None:
        return

    @ui.page("/break")
    def break_it() -> None:
        with framed(context, "/break", "Break it") as frame:
            break_view(context, frame)
