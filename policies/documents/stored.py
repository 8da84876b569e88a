"""Reading what was stored by any version of this software, earlier or later.

Text that was accepted once must stay readable: after an upgrade, and after going back from one. So keys that this
version does not know are passed over, with one exception. A rule whose `match` has a condition unknown here is left
out as a whole: without that condition it would apply to requests that it was never meant for.
"""

from __future__ import annotations

from typing import Any

import msgspec

from policies.documents.lenient import convert_known
from policies.documents.schema import AnyDocument, type_of
from policies.documents.yaml_text import parse_yaml
from policies.errors import DocumentError
from policies.policy import Match

__all__ = ("decode_stored",)


def decode_stored(text: str, *, source_name: str) -> AnyDocument:
    """Read a stored document, passing over what this version does not know.

    Raises:
        DocumentError: It is damaged, or of a schema version that is not known here.
    """
    _, plain = parse_yaml(text, source_name=source_name)
    type_ = type_of(plain)
    if type_ is None:
        what = f"schema_version {plain['schema_version']!r} is not known here"
        raise DocumentError(source_name=source_name, line=1, column=1, what=what)
    try:
        return convert_known(_with_known_rules(plain), type_)
    except msgspec.ValidationError as error:
        raise DocumentError(source_name=source_name, line=1, column=1, what=str(error)) from None


def _with_known_rules(plain: Any) -> Any:  # noqa: ANN401 - any plain value
    if not isinstance(plain, dict) or not isinstance(rules := plain.get("rules"), list):
        return plain
    return plain | {"rules": [rule for rule in rules if _conditions(rule) <= set(Match.__struct_fields__)]}


def _conditions(rule: object) -> set[str]:
    match = rule.get("match") if isinstance(rule, dict) else None
    return set(match) if isinstance(match, dict) else set()
