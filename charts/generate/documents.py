"""The chart's schema and list of values, made from the structs."""

from __future__ import annotations

import json
from typing import Any

from charts.generate.values import Values
from gateway.cli.field_table import field_table
from gateway.cli.schema import described_schema

__all__ = ("readme", "values_schema")

README = """# The chart of Trilemma

[docs/deployment.md](../../docs/deployment.md) says how to install it and what to look after in production; `ci/` has
whole sets of values to begin from. `values.schema.json` refuses a value that is not in the table below, and a key or
value of `config` that the gateway itself would refuse; what it cannot see, such as an alias of an unknown variant,
the new pods refuse, and the old ones go on serving.

Secrets are never values: every one is the name of a secret that exists and of an entry in it.

{table}
"""


def values_schema() -> str:
    """JSON schema of `values.yaml`, the gateway's own configuration included."""
    schema = _portable(described_schema(Values))
    # Helm hands these to every chart that is part of another.
    schema["$defs"]["Values"]["properties"]["global"] = {"type": "object"}
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Trilemma"} | schema
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def readme() -> str:
    """The chart's README, every value with its default and meaning."""
    rows = field_table(Values).splitlines()
    shown = [row for row in rows if not row.startswith("| `config.")]
    return README.format(table="\n".join(shown))


def _portable(node: Any) -> Any:  # noqa: ANN401 - any JSON
    """Patterns in the dialect that Helm's validator reads, which cannot look ahead."""
    if isinstance(node, dict):
        return {
            key: value.replace(r"(?!\n)", "") if key == "pattern" and isinstance(value, str) else _portable(value)
            for key, value in node.items()
        }
    return [_portable(item) for item in node] if isinstance(node, list) else node
