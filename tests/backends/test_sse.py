from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import ProtocolError
from backends.sse import DONE, DONE_DATA, SseReader, encode_event

LINES = st.sampled_from(
    [
        "data: {}",
        "data:{}",
        "data",
        "data:",
        "data:  two",
        "data: é漢🙂",
        ": note",
        "event: x",
        "id: 1",
        "",
        "",
        "",
        "﻿data: b",
    ]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=12).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)


def read_all(chunks: list[bytes]) -> list[bytes]:
    reader = SseReader()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return events + reader.close()


@given(stream=STREAMS, data=st.data())
def test_any_split_of_any_stream_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read_all(chunks) == read_all([stream])
    assert read_all([stream[i : i + 1] for i in range(len(stream))]) == read_all([stream])


@given(stream=st.binary(max_size=200), cut=st.integers(0, 200))
def test_arbitrary_bytes_never_break_the_reader(stream: bytes, cut: int) -> None:
    assert read_all([stream[:cut], stream[cut:]]) == read_all([stream])


@given(st.lists(st.text(st.characters(exclude_characters="\r"), min_size=1), max_size=6))
def test_what_is_encoded_is_read_back(texts: list[str]) -> None:
    events = [text.encode() for text in texts]
    assert read_all([b"".join(map(encode_event, events))]) == events


def test_line_endings_comments_and_many_data_lines_follow_the_standard() -> None:
    first = b"\xef\xbb\xbfdata: one\r\n\r\n: hush\r\revent: add\ndata: two\ndata:three\n\n"
    assert read_all([first, b"id: 7\n\ndata\n\ndata:  four\n\n"]) == [b"one", b"two\nthree", b" four"]


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert read_all([b"data: a\n\ndata: b"]) == [b"a", b"b"]
    assert read_all([b"data: a\n\ndata: b\r\n"]) == [b"a", b"b"]


def test_an_event_is_delivered_as_soon_as_its_blank_line_is_there() -> None:
    reader = SseReader()
    assert reader.feed(b"data: a\r\n\r") == [b"a"]
    assert reader.feed(b"\ndata: b\n\n") == [b"b"]


def test_done_is_an_event_like_any_other() -> None:
    assert read_all([DONE]) == [DONE_DATA]


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1000])
def test_an_endless_event_is_refused_at_the_bound(chunk_bytes: int) -> None:
    reader = SseReader(max_event_bytes=500)
    assert reader.feed(b"data: " + b"x" * 400 + b"\n\n")
    chunks = [b"y" * chunk_bytes] * 600
    with pytest.raises(ProtocolError, match="500 bytes"):
        deque(map(reader.feed, chunks), maxlen=0)


def test_a_large_event_in_tiny_pieces_costs_linear_time() -> None:
    # 200,000 pieces: with a scan of the whole buffer for each, the 20 s time limit would end this test.
    reader = SseReader()
    for _ in range(200_000):
        assert not reader.feed(b"x" * 20)
    assert reader.feed(b"\n\ndata: a\n\n") == [b"a"]
