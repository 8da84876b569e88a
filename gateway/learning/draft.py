"""The policy document that would put new estimators in force: the one in force, with other hashes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from policies.documents.schema import decode_document, encode_document
from policies.documents.stored import decode_stored
from policies.errors import DocumentError

__all__ = ("with_estimators",)

_SECTION = re.compile(r"^estimators:.*\n(?:(?:[ \t].*)?\n)*", re.MULTILINE)
"""The section at the top level, up to the next line that is neither indented nor empty."""


def with_estimators(text: str, estimators: Mapping[str, str]) -> str:
    """A document with these estimators and otherwise unchanged, its comments included.

    Args:
        text: A document that is stored.
        estimators: Content hashes by kind.

    Raises:
        DocumentError: The text cannot be read.
    """
    meant = msgspec.structs.replace(
        decode_stored(text, source_name="the policy in force"), estimators=dict(estimators)
    )
    section = "".join(f"  {kind}: '{name}'\n" for kind, name in sorted(estimators.items()))
    edited = f"{_SECTION.sub('', text.rstrip() + chr(10)).rstrip()}\n\nestimators:\n{section}"
    try:
        if decode_document(edited, source_name="draft") == meant:
            return edited
    except DocumentError:
        pass
    # The text is laid out in a way that cannot be edited line by line, or of another version.
    return encode_document(meant)
