"""Every error leaves the service as `application/problem+json` (RFC 9457): type, title, status and detail.

A service raises one of these, or a subclass of its own with a title that clients can tell apart:

    AppError
    ├── BadRequest          400
    ├── Unauthenticated     401, with WWW-Authenticate
    ├── Forbidden           403
    ├── NotFound            404
    ├── Conflict            409
    ├── PreconditionFailed  412
    ├── Invalid             422
    ├── TooManyRequests     429, with Retry-After
    └── Unavailable         503, with Retry-After

No answer repeats what the client sent or shows what happened inside; that belongs in the log.
"""

import json
import logging
import re
from collections.abc import Mapping
from http.client import responses as phrases
from traceback import walk_tb
from typing import Any

from asyncpg import InterfaceError, PostgresError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.constants import REF_PREFIX
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

# The `type` of a problem is made from its title. Clients rely on it, so a published title does not change.
TITLES = {
    400: "Bad request",
    401: "Unauthenticated",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Precondition failed",
    413: "Content too large",
    422: "Validation failed",
    429: "Too many requests",
    500: "Internal server error",
    503: "Service unavailable",
}

INVALID = "The request does not have the expected form."

# SQLSTATEs, or how they begin, of a database that cannot serve now: connection lost, no resources left, shutting down
# or statement cancelled, login refused, no such database, serialization, deadlock, lock timeout, standby only.
OUTAGES = ("08", "53", "57", "28", "3D", "40001", "40P01", "55P03", "25006")
# A row that another request has deleted (foreign key) or made (unique) since this one looked.
OVERTAKEN = ("23503", "23505")
DATABASE_ERRORS = (DBAPIError, PoolTimeoutError, PostgresError, InterfaceError)
UNSTORABLE = ("22021", "22P05")  # text with a NUL character, or in characters that the database does not have


class AppError(Exception):
    """An error that is an answer. Status and title belong to the class; `detail` tells a person about this one case."""

    status: int
    title: str
    headers: Mapping[str, str] = {}
    more: Mapping[str, object] = {}

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BadRequest(AppError):
    status, title = 400, TITLES[400]


class Unauthenticated(AppError):
    status, title, headers = 401, TITLES[401], {"WWW-Authenticate": "Bearer"}


class Forbidden(AppError):
    status, title = 403, TITLES[403]


class NotFound(AppError):
    status, title = 404, TITLES[404]


class Conflict(AppError):
    status, title = 409, TITLES[409]


class PreconditionFailed(AppError):
    status, title = 412, TITLES[412]


class Invalid(AppError):
    """What only the service can judge about a field of the body."""

    status, title = 422, TITLES[422]

    def __init__(self, field: str, message: str) -> None:
        super().__init__(INVALID)
        self.message = message
        self.more = {"errors": [{"location": ["body", field], "message": message, "type": "value_error"}]}


class TooManyRequests(AppError):
    status, title = 429, TITLES[429]

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after_seconds)}


class Unavailable(AppError):
    status, title, headers = 503, TITLES[503], {"Retry-After": "2"}


class Problem(BaseModel):
    type: str
    title: str
    status: int
    detail: str | None = None


class InvalidInput(BaseModel):
    location: list[str | int]
    message: str
    type: str


class ValidationProblem(Problem):
    errors: list[InvalidInput]


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"

    def __init__(
        self, status: int, detail: str = "", title: str = "", headers: Mapping[str, str] | None = None, **more: object
    ) -> None:
        title = title or TITLES.get(status, "")
        # about:blank means "no more than the status".
        kind = f"/problems/{title.lower().replace(' ', '-')}" if title else "about:blank"
        content = {"type": kind, "title": title or phrases.get(status, "Error"), "status": status}
        super().__init__(content | ({"detail": detail} if detail else {}) | more, status, headers)

    def render(self, content: object) -> bytes:
        # In ASCII, with escapes: half a character cannot be written in UTF-8.
        return json.dumps(content, separators=(",", ":")).encode()


def as_problem(error: Exception) -> ProblemResponse | None:
    """Return the answer to an error, or None when the error is a fault of our own."""
    match error:
        case AppError():
            return ProblemResponse(error.status, error.detail, error.title, error.headers, **error.more)
        case HTTPException():
            detail = "" if error.detail == phrases.get(error.status_code) else str(error.detail)
            return ProblemResponse(error.status_code, detail, headers=error.headers)
        case RequestValidationError():
            invalid = [_invalid_input(entry) for entry in error.errors()[:20]]
            return ProblemResponse(422, INVALID, errors=invalid)
        case DBAPIError() if _unstorable(error):
            return ProblemResponse(422, "The request holds a value that cannot be stored.", errors=[])
        case DBAPIError() if _sqlstate(error) in OVERTAKEN:
            return ProblemResponse(409, "Another request has changed the same thing meanwhile.")
        case DBAPIError() | PostgresError() | InterfaceError() if _is_outage(error):
            log.warning("database unavailable: %s", getattr(error, "orig", error))
            return ProblemResponse(503, "The database is not available.", headers=Unavailable.headers)
        case PoolTimeoutError() | TimeoutError() if isinstance(error, PoolTimeoutError) or _of_database(error):
            log.warning("timeout: %r", error)
            return ProblemResponse(503, "The service is too busy.", headers=Unavailable.headers)
    return None


def _is_outage(error: Exception) -> bool:
    lost = isinstance(error, InterfaceError) or getattr(error, "connection_invalidated", False)
    return lost or _sqlstate(error).startswith(OUTAGES)


def _sqlstate(error: Exception) -> str:
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def _of_database(error: TimeoutError) -> bool:
    # asyncpg raises Python's own TimeoutError, as does whatever else a handler waits for; where it rose tells.
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    return any(module.partition(".")[0] == "asyncpg" for module in modules)


def _unstorable(error: DBAPIError) -> bool:
    # A number that does not fit, or half a character, is noticed by asyncpg before PostgreSQL sees it.
    cause = error.orig and error.orig.__cause__ and error.orig.__cause__.__cause__
    return _sqlstate(error) in UNSTORABLE or isinstance(cause, OverflowError | UnicodeError)


def _invalid_input(error: Mapping[str, Any]) -> dict[str, object]:
    # Names may be the client's own (an unknown field): only what looks like a name is repeated.
    location = [part for part in error["loc"] if re.fullmatch(r"[\w.-]{1,64}", str(part), re.ASCII)]
    message = error["msg"].removeprefix("Value error, ")
    if error["type"].endswith("_parsing"):
        message = message.partition(",")[0]  # what follows describes the input
    return {"location": location, "message": message, "type": error["type"]}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route's `responses=` needs to document these errors."""
    return {status: _documented(TITLES[status]) for status in statuses}


def _documented(description: str, model: type[Problem] = Problem) -> dict[str, Any]:
    schema = {"$ref": REF_PREFIX + model.__name__}
    return {"description": description, "content": {ProblemResponse.media_type: {"schema": schema}}}


class ProblemAPI(FastAPI):
    """FastAPI whose errors are all problems, in what it answers and in what its OpenAPI document says."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for kind in (AppError, HTTPException, RequestValidationError, *DATABASE_ERRORS, TimeoutError):
            self.add_exception_handler(kind, self._answer)
        self.add_exception_handler(Exception, self._fault)

    async def _answer(self, request: Request, error: Exception) -> ProblemResponse:
        problem = as_problem(error)
        if problem is None:
            raise error
        if problem.status_code == 405:
            problem.headers["Allow"] = ", ".join(self._methods(request))
        return problem

    def _methods(self, request: Request) -> list[str]:
        # FastAPI tells only those of the first route with this path.
        scope = {"type": "http", "path": request.scope["path"], "root_path": request.scope["root_path"], "headers": []}
        tried = [{**scope, "method": method} for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")]
        return [s["method"] for s in tried if any(route.matches(s)[0] is Match.FULL for route in self.routes)]

    async def _fault(self, request: Request, error: Exception) -> ProblemResponse:
        return ProblemResponse(500)  # the error itself goes on to the server, which logs it

    def build_middleware_stack(self) -> ASGIApp:
        stack = super().build_middleware_stack()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            # Starlette answers a body that is too large by itself, outside of all handlers and in plain text.
            too_large = False

            async def send_problem(message: Message) -> None:
                nonlocal too_large
                if message["type"] == "http.response.start" and message["status"] == 413:
                    too_large = True
                    await ProblemResponse(413)(scope, receive, send)
                elif not too_large:
                    await send(message)

            await stack(scope, receive, send_problem)

        return app

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema:
            return self.openapi_schema
        document = super().openapi()
        _, models = models_json_schema(
            [(Problem, "serialization"), (ValidationProblem, "serialization")], ref_template=REF_PREFIX + "{model}"
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(models["$defs"])
        for replaced in ("HTTPValidationError", "ValidationError"):
            schemas.pop(replaced, None)
        for operation in (operation for path in document["paths"].values() for operation in path.values()):
            responses = operation["responses"]
            if "422" in responses:
                responses["422"] = _documented(TITLES[422], ValidationProblem)
            if "requestBody" in operation:
                responses |= {str(status): response for status, response in problems(400, 413).items()}
        return document
