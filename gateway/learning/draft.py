"""The policy document that would put what was learned in force: the one in force, with other hashes and threshold."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from policies.documents.schema import decode_document, encode_document
from policies.documents.stored import decode_stored
from policies.errors import DocumentError
from policies.policy import Cascade

__all__ = ("with_learned",)

_SECTION = r"^{name}:.*\n(?:(?:[ \t].*)?\n)*"
"""A section at the top level, up to the next line that is neither indented nor empty."""


def with_learned(text: str, estimators: Mapping[str, str], *, cascade: Cascade | None = None) -> str:
    """A document that uses what was learned and is otherwise unchanged, its comments outside these sections included.

    Args:
        text: A document that is stored.
        estimators: Content hashes by kind.
        cascade: In place of its own; None leaves that.

    Raises:
        DocumentError: The text cannot be read.
    """
    document = decode_stored(text, source_name="the policy in force")
    meant = msgspec.structs.replace(
        document, estimators=dict(estimators), cascade=document.cascade if cascade is None else cascade
    )
    edited = _with_section(text, "estimators", {kind: f"'{name}'" for kind, name in sorted(estimators.items())})
    if cascade is not None:
        stated = msgspec.to_builtins(cascade)
        edited = _with_section(edited, "cascade", {key: msgspec.json.encode(v).decode() for key, v in stated.items()})
    try:
        if decode_document(edited, source_name="draft") == meant:
            return edited
    except DocumentError:
        pass
    # The text is laid out in a way that cannot be edited line by line, or of another version.
    return encode_document(meant)


def _with_section(text: str, name: str, values: Mapping[str, str]) -> str:
    """The text with a section of these keys and values at its end, if there are any, and no other of this name."""
    rest = re.sub(_SECTION.format(name=name), "", text.rstrip() + "\n", flags=re.MULTILINE).rstrip()
    section = "".join(f"  {key}: {value}\n" for key, value in values.items())
    return f"{rest}\n\n{name}:\n{section}" if values else f"{rest}\n"
