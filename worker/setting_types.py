"""The types of settings that several of them share."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

_KAFKAS_OWN: Final = ("__consumer_offsets", "__transaction_state")


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) or name in {".", "..", *_KAFKAS_OWN}:
        raise ValueError(
            f"{name!r} is no name for it in Kafka: 1 to 249 letters, digits, dots, hyphens and underscores, "
            f"and neither . nor .. nor {' nor '.join(_KAFKAS_OWN)}"
        )
    return name


Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86_400)]
ProtocolSeconds = Annotated[float, Field(gt=0, le=2_147_483)]  # as milliseconds in 32 bits
Port = Annotated[int, Field(ge=0, le=65_535)]
PositiveInt = Annotated[int, Field(gt=0, lt=1 << 31)]
TopicName = Annotated[str, AfterValidator(_checked_name)]
