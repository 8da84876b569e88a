"""Bodies and headers, parsed once into a `ValidRequest`; a bad value is an error that names its path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import Meta

from backends.protocol import ChatRequest, CompletionRequest, ResponseFormat
from gateway.api.body import check_nesting
from gateway.api.bounds import bound_json, clipped
from gateway.api.wire import ChatBody, CompletionBody, Metadata, PriorityName, ServiceTier
from gateway.errors import InvalidRequestError
from gateway.routing.request import Route, ValidRequest
from gateway.tenants.types import Role, ServedTier
from policies.checks import MAX_CHECKS_BYTES, Check, SchemaCheck
from policies.objective import Limits, Weights

__all__ = ("decode_body", "parse_chat", "parse_completion")

T = TypeVar("T")
Body = ChatBody | CompletionBody

_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_INDEX = re.compile(r"\[.*?\]")
_CHOICES: dict[str, tuple[str, ...]] = {
    "content": ("never", "traced"),
    "cache.mode": ("default", "no-cache", "no-store"),
    "budget.without_ledger": ("closed", "last_known"),
    "checks.place": ("whole", "anywhere"),
    "checks.type": ("regex", "exact", "json_schema"),
    "encoding_format": ("float", "base64"),
    "key.role": tuple(Role),
    "max_service_tier": get_args(ServedTier),
    "messages.content.type": ("text",),
    "messages.role": ("system", "developer", "user", "assistant", "tool"),
    "priority": (*get_args(PriorityName), "weights on speed, cost and accuracy"),
    "response_format.type": ("text", "json_object", "json_schema"),
    "role": tuple(Role),
    "service_tier": get_args(ServiceTier),
}
"""What the field at a path may be, which the decoder does not say."""

_UNKNOWN = re.compile(r"unknown field `(?P<name>.*?)`")
_MISSING = re.compile(r"missing required field `(?P<name>.*?)`")

_decoders: dict[type, msgspec.json.Decoder[Any]] = {}

_SLO_HEADERS = {
    "x-slo-ttft-ms": ("ttft_s", 0.001),
    "x-slo-latency-ms": ("latency_s", 0.001),
    "x-max-cost-usd": ("max_cost_usd", 1.0),
    "x-min-quality": ("min_quality", 1.0),
}
_CHAT_FIELDS = tuple(
    f for f in ChatRequest.__struct_fields__ if f not in {"model", "stream", "stream_options", "user"}
)
_TEXT_FIELDS = tuple(
    f for f in CompletionRequest.__struct_fields__ if f not in {"model", "stream", "stream_options", "user"}
)


_Finite = Annotated[float, Meta(le=1e12)]
"""A header may say `inf`, which JSON cannot."""


class _PriorityHeader(msgspec.Struct):
    priority: PriorityName


def decode_body(body: bytes, type_: type[T]) -> T:
    """Decode a JSON body strictly.

    Raises:
        InvalidRequestError: Not JSON, an unknown field, a wrong type, a value out of range, or too much but texts.
    """
    decoder = _decoders.get(type_)
    if decoder is None:
        decoder = _decoders[type_] = msgspec.json.Decoder(type_)
    try:
        bound_json(body)
        decoded: T = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(clipped(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(f"the body is not valid JSON: {error}", code="invalid_json") from None
    return decoded


def parse_chat(body: bytes, headers: Mapping[str, str]) -> ValidRequest:
    """Read a chat request and its hints; body fields win over headers."""
    request = decode_body(body, ChatBody)
    _check_nesting(request)
    texts = [message.text for message in request.messages]
    needs = set[str]()
    if request.tools:
        needs.add("tools")
    if request.response_format is not None and request.response_format.type != "text":
        needs.add("json_schema")
    if request.logprobs:
        needs.add("logprobs")
    return _valid(
        request,
        headers,
        route=Route.CHAT,
        fields=_CHAT_FIELDS,
        texts=texts,
        prompt_bytes=sum(len(text.encode()) for text in texts) + 16 * len(texts),
        max_completion_tokens=request.max_completion_tokens or request.max_tokens,
        needs=frozenset(needs),
        form=_form(request.response_format),
    )


def _check_nesting(request: ChatBody) -> None:
    """Bound the fields that may hold any JSON."""
    check_nesting(request.tools, field="tools")
    check_nesting(request.tool_choice, field="tool_choice")
    if request.response_format is not None:
        check_nesting(request.response_format.json_schema, field="response_format.json_schema")
    for number, message in enumerate(request.messages):
        check_nesting(message.tool_calls, field=f"messages[{number}].tool_calls")


def parse_completion(body: bytes, headers: Mapping[str, str]) -> ValidRequest:
    """Read a text completion request and its hints."""
    request = decode_body(body, CompletionBody)
    prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt
    return _valid(
        request,
        headers,
        route=Route.COMPLETION,
        fields=_TEXT_FIELDS,
        texts=prompts,
        prompt_bytes=sum(len(prompt.encode()) for prompt in prompts),
        max_completion_tokens=request.max_tokens,
        needs=frozenset({"logprobs"} if request.logprobs else ()),
    )


def _valid(
    request: Body,
    headers: Mapping[str, str],
    *,
    route: Route,
    fields: tuple[str, ...],
    texts: list[str],
    prompt_bytes: int,
    max_completion_tokens: int | None,
    needs: frozenset[str],
    form: SchemaCheck | None = None,
) -> ValidRequest:
    options = request.stream_options
    if options is not None and not request.stream:
        raise InvalidRequestError("stream_options needs stream: true", param="stream_options")
    return ValidRequest(
        route=route,
        model=request.model,
        payload={name: value for name in fields if (value := getattr(request, name)) is not None},
        stream=bool(request.stream),
        include_usage=options is not None and options.include_usage,
        choices=(request.n or 1) * _prompts(request),
        priority=_priority(request.priority, headers),
        limits=_limits(request.slo, headers),
        service_tier=request.service_tier,
        tags=_tags(headers) | (request.metadata or {}),
        prompt="\n".join(texts),
        turns=len(texts),
        prompt_bytes=prompt_bytes,
        max_completion_tokens=max_completion_tokens,
        needs=needs,
        explain=headers.get("x-trilemma-explain", "") == "1",
        cache=request.cache,
        checks=_bounded(request.checks or ()),
        form=form,
    )


def _bounded(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """Bound what a request's checks may hold together; their content is read later, off the event loop."""
    for number, check in enumerate(checks):
        if isinstance(check, SchemaCheck):
            check_nesting(check.schema, field=f"checks[{number}].schema")
    if checks and len(msgspec.json.encode(checks)) > MAX_CHECKS_BYTES:
        raise InvalidRequestError(f"`checks` are larger than {MAX_CHECKS_BYTES} bytes together", param="checks")
    return checks


def _form(asked: ResponseFormat | None) -> SchemaCheck | None:
    """The shape asked for, as a check; one that is too large is for the variant to refuse."""
    if asked is None or asked.type == "text":
        return None
    schema = {"type": "object"} if asked.type == "json_object" else (asked.json_schema or {}).get("schema")
    try:
        return SchemaCheck(schema=schema, name="response_format") if isinstance(schema, dict) else None
    except ValueError:
        return None


def _prompts(request: Body) -> int:
    """Prompts in one body; a text completion may have several."""
    if isinstance(request, CompletionBody) and isinstance(request.prompt, list):
        return len(request.prompt)
    return 1


def _priority(stated: PriorityName | Weights | None, headers: Mapping[str, str]) -> str | Weights | None:
    if stated is not None:
        return stated
    text = headers.get("x-priority")
    if text is None:
        return None
    try:
        if text.lstrip().startswith("{"):
            return msgspec.json.decode(text, type=Weights)
        return msgspec.convert({"priority": text}, type=_PriorityHeader).priority
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequestError(
            f"header X-Priority: {_explain(clipped(str(error)))[0]}", param="X-Priority"
        ) from None


def _tags(headers: Mapping[str, str]) -> dict[str, str]:
    """`X-Tags: team=search, env=test` as a mapping; a word alone is a tag without a value."""
    text = headers.get("x-tags", "")
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    tags = {name.strip(): value.strip() for name, _, value in pairs}
    try:
        return msgspec.convert(tags, type=Metadata)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"header X-Tags: {_explain(clipped(str(error)))[0]}", param="X-Tags") from None


def _limits(stated: Limits | None, headers: Mapping[str, str]) -> Limits:
    """Limits from the headers, overridden field by field by those of the body."""
    values: dict[str, float] = {}
    for header, (field, scale) in _SLO_HEADERS.items():
        text = headers.get(header)
        if text is None:
            continue
        try:
            number = msgspec.convert(text, type=_Finite, strict=False) * scale
            values[field] = getattr(msgspec.convert({field: number}, type=Limits), field)
        except msgspec.ValidationError as error:
            name = header.title()
            raise InvalidRequestError(f"header {name}: {_explain(clipped(str(error)))[0]}", param=name) from None
    if stated is not None:
        values |= {name: value for name in Limits.__struct_fields__ if (value := getattr(stated, name)) is not None}
    return Limits(**values)


def _invalid(text: str) -> InvalidRequestError:
    """Turn msgspec's message into one whose `param` is the path of the field, as far as the text tells."""
    what, path = _explain(text)
    return InvalidRequestError(f"{what} at {path}" if path else what, param=path or None)


def _explain(text: str) -> tuple[str, str]:
    """What is wrong, with the values that would not be, and the path of where."""
    match = _PATH.match(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    for pattern in (_UNKNOWN, _MISSING):
        if named := pattern.search(what):
            path = f"{path}.{named['name']}" if path else named["name"]
    if what.startswith(("Invalid enum value", "Invalid value")):
        known = _CHOICES.get(_INDEX.sub("", path), ())
        what += f", expected one of: {', '.join(known)}" if known else ""
    return what, path
