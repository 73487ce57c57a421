"""No test of spans ends the process, as none of the pipeline does."""

from __future__ import annotations

from tests.unit.processing.pipeline import conftest

ended = conftest.ended
