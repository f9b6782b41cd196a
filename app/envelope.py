"""What surrounds every request: its id, its sender's address, the headers of every answer, and its line in the log."""

import re
import time
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger
from uuid_utils import uuid7

from app.errors import Problem

Address = IPv4Address | IPv6Address

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
UNKNOWN_ADDRESS = ip_address("0.0.0.0")  # noqa: S104 - of a client without one: a Unix socket
# As ASGI wants them: made once, and not for every answer. What an answer says itself has precedence.
SECURITY_HEADERS = {
    b"strict-transport-security": b"max-age=63072000; includeSubDomains",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}
# The interactive documentation loads its page from a CDN.
DOCS_HEADERS = SECURITY_HEADERS | {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; connect-src 'self'; "
    b"img-src 'self' data: https://fastapi.tiangolo.com; "
    b"script-src 'unsafe-inline' https://cdn.jsdelivr.net; style-src 'unsafe-inline' https://cdn.jsdelivr.net"
}
DOCS = ("/docs", "/docs/oauth2-redirect", "/redoc")


class Envelope:
    """ASGI middleware around all others, so that no answer leaves without it, errors included."""

    def __init__(
        self, app: ASGIApp, trusted_proxies: Sequence[IPv4Network | IPv6Network], log: FilteringBoundLogger
    ) -> None:
        self.app, self.trusted_proxies, self.log = app, trusted_proxies, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        method = scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}  # the server knows what was asked for, and leaves out the body
        headers = Headers(scope=scope)
        if "\\" in "".join(headers.getlist("cookie")):
            # No cookie of ours has one, and for thousands Python before 3.11.10 and 3.12.6 takes many seconds.
            plain = [(name, value.replace(b"\\", b"") if name == b"cookie" else value) for name, value in headers.raw]
            scope = {**scope, "headers": plain}
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid7().hex
        address = str(self._sender(scope, headers))
        scope.setdefault("state", {}).update(request_id=request_id, address=address)
        status, began, replacement = 500, time.perf_counter(), None

        async def send_sealed(message: Message) -> None:
            nonlocal status, replacement
            if message["type"] == "http.response.start":
                status, own = message["status"], message["headers"]
                # Starlette's middlewares answer errors by themselves, outside of all handlers.
                if status >= 400 and (b"content-type", b"text/plain; charset=utf-8") in own:
                    replacement = Problem(status).answer()
                    own = [*replacement.raw_headers, *(pair for pair in own if not pair[0].startswith(b"content-"))]
                elif status == 204:  # FastAPI calls also nothing JSON
                    own = [pair for pair in own if pair[0] != b"content-type"]
                names = {name for name, _ in own}
                ours = DOCS_HEADERS if scope["path"] in DOCS and status == 200 else SECURITY_HEADERS
                added = [header for header in ours.items() if header[0] not in names]
                message["headers"] = [*own, *added, (b"x-request-id", request_id.encode())]
            elif replacement:
                message["body"] = replacement.body
            await send(message)

        # They stay bound after a failure, for the line that the server then writes; each request has a task,
        # and with it a context, of its own.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, ip=address)
        try:
            await self.app(scope, receive, send_sealed)
        finally:
            # The route and not the path: what a client put into a path may be anything.
            line = {"method": method, "route": getattr(scope.get("route"), "path", None), "status": status}
            self.log.info("request", **line, ms=round((time.perf_counter() - began) * 1000, 1))

    def _sender(self, scope: Scope, headers: Headers) -> Address:
        """Return the address of the last hop that is not a proxy of ours."""
        peer = _address(scope["client"][0]) if scope.get("client") else UNKNOWN_ADDRESS
        hops = [hop for line in headers.getlist("x-forwarded-for") for hop in line.split(",")]
        while hops and any(peer in network for network in self.trusted_proxies):
            peer = _address(hops.pop())  # not all at once: anybody can send thousands
        return peer


@lru_cache(1024)
def _address(text: str) -> Address:
    host, colon, port = text.strip().rpartition(":")
    bare = host.strip("[]") if colon and port.isdigit() and (host.endswith("]") or ":" not in host) else text
    try:
        address = ip_address(bare.strip(" []"))
    except ValueError:
        return UNKNOWN_ADDRESS
    return getattr(address, "ipv4_mapped", None) or address
