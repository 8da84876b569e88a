"""`trilemma config`: check a configuration, and print its schema."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from typing import Any

import click
import msgspec

from gateway.cli.context import CliContext, print_json
from gateway.settings import Settings

__all__ = ("config", "settings_schema")


@click.group()
def config() -> None:
    """Check a configuration, or print what one may say."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print the effective configuration as JSON.")
@click.pass_obj
def check(context: CliContext, *, as_json: bool) -> None:
    """Check the configuration; exit code 1 names the line and the key to mend."""
    settings = context.settings()
    if as_json:
        print_json(settings)
        return
    names = ", ".join(variant.name for variant in settings.variants)
    click.echo(f"{context.config_path or 'built-in configuration'}: ok; variants {names}")


@config.command()
def schema() -> None:
    """Print the JSON schema, every field with its unit and range."""
    print_json(settings_schema())


def settings_schema() -> dict[str, Any]:
    """JSON schema of the configuration, descriptions taken from the docstring under each field."""
    schema = msgspec.json.schema(Settings)
    components = schema.get("$defs", {})
    for struct in _structs(Settings):
        properties = components.get(struct.__name__, {}).get("properties", {})
        for name, text in _field_docs(struct).items():
            if name in properties:
                properties[name]["description"] = text
    return schema


def _structs(type_: type) -> set[type[msgspec.Struct]]:
    """All struct types reachable from one."""
    found: set[type[msgspec.Struct]] = set()
    pending = [msgspec.inspect.type_info(type_)]
    while pending:
        info = pending.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in found:
                continue
            found.add(info.cls)
            pending += [field.type for field in info.fields]
            continue
        for name in ("type", "item_type", "key_type", "value_type"):
            if (inner := getattr(info, name, None)) is not None:
                pending.append(inner)
        pending += getattr(info, "types", ())
    return found


def _field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The string that follows each field in the class body."""
    body = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    docs: dict[str, str] = {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, text in itertools.pairwise(statements):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                docs[name] = inspect.cleandoc(doc)
    return docs
