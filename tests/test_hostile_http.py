"""What arrives on a connection may be anything; the server refuses it and goes on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from process import Service, running

from app.envelope import SECURITY_HEADERS

HEAD = b"PATCH /users/me HTTP/1.1\r\nHost: service\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"
# Where two parties could disagree about what a request is, or where it ends.
AMBIGUOUS = {
    "length and chunks": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "length in hexadecimal": HEAD + b"Content-Length: 0x2\r\n\r\n{}",
    "unknown encoding": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunk without a size": CHUNKED + b"x\r\n{}\r\n0\r\n\r\n",
    "blank in a name": HEAD + b"Content-Length : 2\r\n\r\n{}",
    "two hosts": b"GET /health/live HTTP/1.1\r\nHost: service\r\nHost: other\r\n\r\n",
    "NUL in a value": b"GET /health/live HTTP/1.1\r\nHost: service\r\nX-A: a\x00b\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    "unknown version": b"GET /health/live HTTP/9.9\r\nHost: service\r\n\r\n",
}


async def exchange(service: Service, sent: bytes) -> bytes:
    """Return all that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.fixture
async def service(database: str) -> AsyncIterator[Service]:
    async with running(database) as service:
        yield service


async def test_ambiguous_requests_are_refused_and_the_connection_is_closed(service: Service) -> None:
    """With a problem, as all errors are, and the headers of every answer."""
    for kind, request in AMBIGUOUS.items():
        answer = await exchange(service, request)
        assert answer.startswith(b"HTTP/1.1 400 "), kind
        assert answer.count(b"HTTP/1.1 ") == 1, kind
        head, _, body = answer.partition(b"\r\n\r\n")
        assert json.loads(body)["type"] == "/problems/bad-request", kind
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in head.splitlines()[1:])}
        assert headers[b"content-type"] == b"application/problem+json", kind
        assert headers[b"connection"] == b"close", kind
        assert headers.items() >= SECURITY_HEADERS.items(), kind
        assert headers[b"x-request-id"].isalnum(), kind
    assert b" 200 " in await service.ask()


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        pytest.param(b"GET /", b"a" * 65536, id="path"),
        pytest.param(HEAD + b"X-A: ", b"a" * 65536, id="header"),
        pytest.param(HEAD, b"X-A: a\r\n" * 8192, id="headers"),
        pytest.param(CHUNKED + b"2;a=", b"a" * 65536, id="chunk extension"),
        pytest.param(CHUNKED + b"0\r\n", b"X-A: a\r\n" * 8192, id="trailers"),
    ],
)
async def test_what_is_no_body_does_not_go_on_for_ever(service: Service, begun: bytes, piece: bytes) -> None:
    """It would be kept until the deadline, and copied with each piece that comes."""
    memory = service.peak_bytes()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(begun)
    answered, sent = asyncio.create_task(reader.read(12)), 0
    with suppress(ConnectionError):
        while not answered.done() and sent < 16 * 2**20:
            writer.write(piece)
            sent += len(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
    writer.close()

    with suppress(ConnectionError):
        assert await answered == b"HTTP/1.1 400"
    assert sent < 8 * 2**20
    assert service.peak_bytes() - memory < 20_000_000
    assert b" 200 " in await service.ask()


async def test_headers_of_more_than_64_kib_are_refused_also_when_they_come_at_once(service: Service) -> None:
    """And none of 60 KiB, nor a small one whose body comes along with it."""
    get = b"GET /health/live HTTP/1.1\r\nHost: service\r\nConnection: close\r\n"
    requests = {
        400: [
            get + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n",
            get.replace(b" HTTP", b"?" + b"a" * 70_000 + b" HTTP") + b"\r\n",
        ],
        200: [get + b"X-A: " + b"a" * 60_000 + b"\r\n\r\n"],
        422: [HEAD + b"Connection: close\r\nContent-Length: 100000\r\n\r\n" + b" " * 100_000],
    }

    for status, sent in requests.items():
        for request in sent:
            assert (await exchange(service, request)).startswith(b"HTTP/1.1 %d " % status)


async def test_what_follows_a_body_is_no_header(service: Service) -> None:
    """A proxy that replaces X-Forwarded-For does not look there."""
    closing = CHUNKED.replace(b"Host", b"Connection: close\r\nHost")
    answer = await exchange(service, closing + b"2\r\n{}\r\n0\r\nX-Request-ID: mine\r\n\r\n")

    assert b"x-request-id: " in answer
    assert b"x-request-id: mine" not in answer


@pytest.mark.parametrize("size", ["Content-Length: 67108864", "Transfer-Encoding: chunked"])
async def test_64_megabytes_are_refused_before_they_are_read(service: Service, size: str) -> None:
    """Whether announced or not: the answer comes long before their end, and the service grows by less than 20 MB."""
    memory = service.peak_bytes()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(HEAD + size.encode() + b"\r\n\r\n")
    head, sent = asyncio.create_task(reader.readuntil(b"\r\n\r\n")), 0
    while not head.done() and sent < 64 * 2**20:
        if "chunked" in size:
            writer.write(CHUNK)
            sent += 65536
            await writer.drain()
        await asyncio.sleep(0)
    writer.close()

    assert (await head).startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in await head
    assert sent < 16 * 2**20
    assert service.peak_bytes() - memory < 20_000_000
    assert b" 200 " in await service.ask()


async def test_who_goes_on_sending_after_the_answer_is_cut_off(service: Service) -> None:
    """Nobody keeps a connection, and the processor, with a body that has been refused."""
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(CHUNKED)
    with suppress(ConnectionError):
        async with asyncio.timeout(20):
            while True:
                writer.write(CHUNK)
                await writer.drain()
                await asyncio.sleep(0.01)
    writer.close()


async def test_a_connection_is_used_again_after_a_refused_body_and_does_not_stay_for_ever(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(HEAD + b"Content-Length: 2097152\r\n\r\n")
    assert b" 413 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b" " * 2097152 + b"GET /health/live HTTP/1.1\r\nHost: service\r\n\r\n")
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")

    writer.write(HEAD + b"Content-Length: 2097152\r\n\r\n")
    assert b" 413 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b" " * 2097152)
    async with asyncio.timeout(20):
        await reader.read()
    writer.close()
