from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from backends import errors as backend
from gateway import errors
from gateway.errors import ApiError, from_backend


def subclasses(root: type) -> Iterator[type]:
    yield root
    for child in root.__subclasses__():
        yield from subclasses(child)


def made(kind: type[backend.BackendError]) -> backend.BackendError:
    if kind is backend.HashMismatchError:
        return backend.HashMismatchError(what="a", expected="b", found="c")
    if kind is backend.MissingExtraError:
        return backend.MissingExtraError(package="a", extra="b")
    return kind("what went wrong")


STATUS = {
    "ContextLengthError": 400,
    "BadRequestError": 400,
    "UpstreamTimeoutError": 408,
    "TooSlowError": 408,
    "RateLimitedError": 429,
    "OverloadedError": 503,
}


@pytest.mark.parametrize("kind", sorted(set(subclasses(backend.BackendError)), key=lambda kind: kind.__name__))
def test_every_failure_behind_the_gateway_has_its_answer(kind: type[backend.BackendError]) -> None:
    failure = made(kind)
    seen = from_backend(failure)
    assert seen.status == STATUS.get(kind.__name__, 502)
    assert seen.code == failure.error_type
    assert seen.message == str(failure)


def test_every_error_is_exported_and_drawn_in_the_tree() -> None:
    kinds = {kind.__name__: kind for kind in subclasses(ApiError) if kind.__module__ == "gateway.errors"}
    assert set(kinds) | {"from_backend"} == set(errors.__all__)
    for name, kind in kinds.items():
        if name != "ApiError":
            drawn = next(line for line in str(errors.__doc__).splitlines() if name in line)
            assert str(kind.status) in drawn
            assert kind.error_type in drawn


def test_an_error_is_openais_object() -> None:
    shown = json.loads(errors.InvalidRequestError("no", param="messages[0].role", code="bad").to_json())
    assert shown == {
        "error": {"message": "no", "type": "invalid_request_error", "param": "messages[0].role", "code": "bad"}
    }
    assert json.loads(errors.InternalError().to_json())["error"] == {
        "message": "internal error; the request id finds it in the log",
        "type": "server_error",
        "param": None,
        "code": None,
    }


@pytest.mark.parametrize(("wait_s", "header"), [(None, "1"), (0.2, "1"), (7.6, "8")])
def test_a_busy_variant_says_when_to_come_back_in_whole_seconds(wait_s: float | None, header: str) -> None:
    for kind in (backend.RateLimitedError, backend.OverloadedError):
        assert from_backend(kind("busy", retry_after_s=wait_s)).headers == {"Retry-After": header}


def test_an_unknown_model_error_names_the_known_ones() -> None:
    error = errors.ModelNotFoundError("gpt", known=["auto", "small"])
    assert error.message == "model `gpt` does not exist; known models: auto, small"
    assert (error.status, error.param, error.code) == (404, "model", "model_not_found")
