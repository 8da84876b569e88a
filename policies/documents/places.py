"""Where in a text the parts of a document stand."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

__all__ = ("Path", "Step", "path_text", "place_of")

Step = str | int
Path = tuple[Step, ...]
"""Keys and positions that lead from the whole document to one of its parts."""


def place_of(root: yaml.Node, path: Path) -> tuple[int, int]:
    """Line and column, counted from 1, of a part: a scalar's own, else that of the key or dash it stands under.

    Of a part that is not written down, those of the nearest part around it that is.
    """
    node, mark = root, root.start_mark
    for step in path:
        found = _inner(node, step)
        if found is None:
            break
        key, node = found
        mark = node.start_mark if key is None or isinstance(node, yaml.ScalarNode) else key.start_mark
    return mark.line + 1, mark.column + 1


def path_text(path: Sequence[Step]) -> str:
    """A path as people write it: `rules[0].then.include`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _inner(node: yaml.Node, step: Step) -> tuple[yaml.Node | None, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(step)), None)
    return None
