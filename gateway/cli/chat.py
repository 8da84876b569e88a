"""`trilemma chat`: talk to a running gateway, and see for each answer who gave it, how fast, and why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import click

from gateway.cli.context import CliContext

__all__ = ("chat",)

Chunk = dict[str, Any]


@click.command()
@click.option("--url", default=None, help="Gateway to talk to. Default: the configured host and port.")
@click.option("--model", default="auto", show_default=True, help="`auto`, an alias, or a variant to pin.")
@click.option("--priority", type=click.Choice(["speed", "cost", "accuracy", "balanced"]), help="What matters.")
@click.option("--max-tokens", type=int, default=256, show_default=True, help="Longest answer.")
@click.option("--once", default=None, metavar="PROMPT", help="Ask one thing and exit.")
@click.option("--json", "as_json", is_flag=True, help="With --once: print the answer and its explanation as JSON.")
@click.pass_obj
def chat(
    context: CliContext,
    *,
    url: str | None,
    model: str,
    priority: str | None,
    max_tokens: int,
    once: str | None,
    as_json: bool,
) -> None:
    """Chat in the terminal; each answer is followed by its variant, TTFT, tokens per second and reason.

    A gateway with tenants needs a key: it is taken from the environment, TRILEMMA_API_KEY.
    """
    server = context.settings().server
    body = {"model": model, "max_tokens": max_tokens} | ({"priority": priority} if priority else {})
    session = _Conversation(url=url or f"http://{server.host}:{server.port}", body=body)
    if once is not None:
        asyncio.run(session.ask(once, show="json" if as_json else "text"))
        return
    click.echo("Ctrl-D or an empty line ends the chat.")
    while prompt := _prompt():
        try:
            asyncio.run(session.ask(prompt, show="text"))
        except click.ClickException as error:
            error.show()  # The conversation goes on without that turn.


def _prompt() -> str:
    try:
        return str(click.prompt(">", prompt_suffix=" ", default="", show_default=False)).strip()
    except click.Abort:
        return ""


class _Conversation:
    """The messages so far, and how to get the next one."""

    def __init__(self, *, url: str, body: dict[str, Any]) -> None:
        self._url = url.rstrip("/")
        self._body = body
        self._messages: list[dict[str, str]] = []

    async def ask(self, prompt: str, *, show: str) -> None:
        """Send a prompt, print the answer as it comes, then what is known about it.

        Raises:
            ClickException: The gateway does not answer, or answers with an error.
        """
        import aiohttp

        asked = {"role": "user", "content": prompt}
        answer: list[str] = []
        last: Chunk = {}
        try:
            async for chunk in self._chunks([*self._messages, asked]):
                for choice in chunk["choices"]:
                    piece = choice["delta"].get("content") or ""
                    answer.append(piece)
                    if show == "text":
                        click.echo(piece, nl=False)
                last = chunk
        except aiohttp.ClientConnectorError as error:
            raise click.ClickException(
                f"no gateway at {self._url} ({error}); start one with `trilemma serve`"
            ) from None
        except aiohttp.ClientError as error:
            raise click.ClickException(f"the answer broke off: {error}") from None
        self._messages += [asked, {"role": "assistant", "content": "".join(answer)}]
        if show == "json":
            from gateway.cli.context import print_json

            print_json({"content": "".join(answer), "usage": last.get("usage"), "trilemma": last.get("trilemma")})
        else:
            click.echo()
            click.secho(summary(last), dim=True)

    async def _chunks(self, messages: list[dict[str, str]]) -> AsyncIterator[Chunk]:
        """The chunks of one answer, up to its end.

        Raises:
            ClickException: The gateway reports an error, or its answer ends without `[DONE]`.
            ClientError: The connection failed.
        """
        import aiohttp
        import msgspec

        from backends.sse import DONE_DATA, SseReader
        from gateway.cli.api_key import headers_with, stated_key

        body = self._body | {"messages": messages, "stream": True, "stream_options": {"include_usage": True}}
        headers = {"X-Trilemma-Explain": "1", "Content-Type": "application/json"} | headers_with(stated_key())
        reader = SseReader()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                f"{self._url}/v1/chat/completions", data=msgspec.json.encode(body), headers=headers
            ) as reply,
        ):
            if reply.status != 200:
                hint = " (the key is taken from TRILEMMA_API_KEY)" if reply.status == 401 else ""
                raise click.ClickException(_message(await reply.read()) + hint)
            async for data in reply.content.iter_any():
                for event in reader.feed(data):
                    if event == DONE_DATA:
                        return
                    chunk: Chunk = msgspec.json.decode(event)
                    if "error" in chunk:
                        raise click.ClickException(_message(event))
                    yield chunk
            raise click.ClickException("the answer broke off")


def summary(last: Chunk) -> str:
    """On an answer: variant, TTFT, tokens per second, and in one sentence why this variant."""
    about, usage = last["trilemma"], last["usage"]
    generating_s = about["stages"].get("generate", 0.0)
    tokens = usage["completion_tokens"]
    speed = f"{(tokens - 1) / generating_s:.0f} tokens/s" if generating_s > 0 and tokens > 1 else "-"
    ttft = f"TTFT {about['ttft_s'] * 1000:.0f} ms" if about["ttft_s"] is not None else "TTFT -"
    return f"[{about['variant']}] {ttft}, {speed}, {tokens} tokens. {about.get('meaning') or _undecided(about)}"


def _undecided(about: dict[str, Any]) -> str:
    """Of an answer that no variant was chosen for."""
    return f"Answered from the {about['cache']} cache."


def _message(body: bytes) -> str:
    import msgspec

    try:
        return str(msgspec.json.decode(body)["error"]["message"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return body[:500].decode(errors="replace")
