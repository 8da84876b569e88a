"""What the chart"s values are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

__all__ = (
    "Count",
    "Digest",
    "Duration",
    "EnvName",
    "Object",
    "PinnedImage",
    "Port",
    "Resources",
    "SecretName",
    "Tag",
    "Text",
)

Object = dict[str, Any]
Count = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Text = Annotated[str, Meta(min_length=1)]
Duration = Annotated[str, Meta(pattern=r"^[0-9]+(ms|s|m|h)$")]
Digest = Annotated[str, Meta(pattern=r"^(sha256:[0-9a-f]{64})?$")]
Tag = Annotated[str, Meta(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$")]
EnvName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
SecretName = Annotated[str, Meta(pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$")]
PinnedImage = Annotated[str, Meta(pattern=r"^[^@]+(:[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$")]


class Resources(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CPU and memory of a container."""

    requests: dict[Literal["cpu", "memory", "ephemeral-storage"], str]
    """What the scheduler sets aside."""
    limits: dict[str, str]
    """What it may take; name `memory` at least."""
