"""Tokens in requests and answers: in the Authorization header, or for browsers in cookies."""

from datetime import datetime
from functools import partial

from fastapi import Request, Response

from app.errors import Problem

ACCESS_COOKIE = "__Host-access"
REFRESH_COOKIE = "__Secure-refresh"
REFRESH_PATH = "/auth/refresh"
CSRF_HEADER = "X-CSRF"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def read_access_token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        return token.strip() if scheme.lower() == "bearer" else ""
    return read_cookie(request, ACCESS_COOKIE)


def read_cookie(request: Request, name: str) -> str | None:
    cookie = request.cookies.get(name)
    # A page of another site can make a browser send our cookies, but no header of its own without our CORS permission.
    if cookie is not None and request.method not in SAFE_METHODS and not request.headers.get(CSRF_HEADER):
        detail = f"With cookies, a request that changes something needs the header {CSRF_HEADER}: 1."
        raise Problem(403, detail, title="CSRF header missing")
    return cookie


def set_cookies(response: Response, access: str, access_seconds: int, refresh: str, refresh_until: datetime) -> None:
    put = partial(response.set_cookie, httponly=True, secure=True, samesite="lax")
    put(ACCESS_COOKIE, access, max_age=access_seconds)
    put(REFRESH_COOKIE, refresh, path=REFRESH_PATH, expires=refresh_until)


def clear_cookies(response: Response) -> None:
    for name, path in ((ACCESS_COOKIE, "/"), (REFRESH_COOKIE, REFRESH_PATH)):
        response.delete_cookie(name, path, httponly=True, secure=True, samesite="lax")
