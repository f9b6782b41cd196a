"""Tokens in requests and answers: in the Authorization header, or for browsers in cookies.

A page of another site can make a browser send our cookies, but not a header of its own (that needs our CORS
permission), so cookies count only together with one.
"""

from datetime import datetime

from fastapi import Request, Response

from app.errors import Forbidden

ACCESS_COOKIE = "__Host-access"
REFRESH_COOKIE = "__Secure-refresh"
REFRESH_PATH = "/auth/refresh"
CSRF_HEADER = "X-CSRF"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class CsrfHeaderMissing(Forbidden):
    title = "CSRF header missing"


def read_access_token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        return token.strip() if scheme.lower() == "bearer" else ""
    cookie = request.cookies.get(ACCESS_COOKIE)
    if cookie is not None and request.method not in SAFE_METHODS:
        require_csrf_header(request)
    return cookie


def read_refresh_token(request: Request) -> str | None:
    cookie = request.cookies.get(REFRESH_COOKIE)
    if cookie is not None:
        require_csrf_header(request)
    return cookie


def require_csrf_header(request: Request) -> None:
    if not request.headers.get(CSRF_HEADER):
        raise CsrfHeaderMissing(f"With cookies, a request that changes something needs the header {CSRF_HEADER}: 1.")


def set_cookies(response: Response, access: str, access_seconds: int, refresh: str, refresh_until: datetime) -> None:
    _set(response, ACCESS_COOKIE, access, "/", max_age=access_seconds)
    _set(response, REFRESH_COOKIE, refresh, REFRESH_PATH, expires=refresh_until)


def clear_cookies(response: Response) -> None:
    for name, path in ((ACCESS_COOKIE, "/"), (REFRESH_COOKIE, REFRESH_PATH)):
        _set(response, name, "", path, max_age=0)


def _set(
    response: Response, name: str, value: str, path: str, max_age: int | None = None, expires: datetime | None = None
) -> None:
    response.set_cookie(
        name, value, path=path, max_age=max_age, expires=expires, httponly=True, secure=True, samesite="lax"
    )
