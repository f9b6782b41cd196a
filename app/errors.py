"""Errors leave as `application/problem+json` (RFC 9457), and show neither what was sent nor what happened inside."""

import json
import logging
import re
from collections.abc import Mapping
from http.client import responses as phrases
from traceback import walk_tb
from typing import Any

from asyncpg import InterfaceError, InvalidCachedStatementError, PostgresError
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match

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
HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "60"}, 503: {"Retry-After": "2"}}
MEDIA_TYPE = "application/problem+json"
TEXT = {"type": "string"}
HEADER = {"required": True, "schema": TEXT}
INVALID = "The request does not have the expected form."

DATABASE_ERRORS = (DBAPIError, PoolTimeoutError, PostgresError, InterfaceError, TimeoutError)
# SQLSTATEs, or how they begin, of a database that cannot serve now: connection lost, no resources left, shutting down
# or statement cancelled, input or output failed, login refused, no such database, serialization, deadlock, lock
# timeout, standby only.
OUTAGES = ("08", "53", "57", "58", "28", "3D", "40001", "40P01", "55P03", "25006")
# A row that another request has deleted (foreign key) or made (unique) since this one looked.
OVERTAKEN = ("23503", "23505")
UNSTORABLE = ("22021", "22P05")  # text with a NUL character, or in characters that the database does not have


class Problem(Exception):
    """An error that is an answer: `raise Problem(404, "There is no such item.")`.

    A `title` tells clients what sets it apart from others with its status; `more` becomes members of the answer.
    """

    def __init__(
        self, status: int, detail: str = "", title: str = "", headers: Mapping[str, str] | None = None, **more: object
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.title, self.more = status, detail, title or TITLES.get(status, ""), more
        self.headers = {**HEADERS.get(status, {}), **(headers or {})}

    def answer(self) -> Response:
        # about:blank means "no more than the status".
        kind = f"/problems/{self.title.lower().replace(' ', '-')}" if self.title else "about:blank"
        content = {"type": kind, "title": self.title or phrases.get(self.status, "Error"), "status": self.status}
        content |= {"detail": self.detail} | self.more if self.detail else self.more
        # In ASCII, with escapes: half a character cannot be written in UTF-8.
        return Response(json.dumps(content), self.status, self.headers, MEDIA_TYPE)


def invalid_field(field: str, message: str, title: str = "", where: str = "body") -> Problem:
    """Return what only the service can judge about a field of the body, or a header."""
    error = {"location": [where, field], "message": message, "type": "value_error"}
    return Problem(422, INVALID, title, errors=[error])


def as_problem(error: Exception) -> Problem | None:
    """Return the answer to an error, or None when the error is a fault of our own."""
    match error:
        case Problem():
            return error
        case HTTPException():
            detail = "" if error.detail == phrases.get(error.status_code) else str(error.detail)
            return Problem(error.status_code, detail, headers=error.headers)
        case RequestValidationError():
            return Problem(422, INVALID, errors=[_invalid_input(entry) for entry in error.errors()[:20]])
        case DBAPIError() | PostgresError() | InterfaceError() if _unstorable(error):
            return Problem(422, "The request holds a value that cannot be stored.", errors=[])
        case DBAPIError() if sqlstate(error) in OVERTAKEN:
            return Problem(409, "Another request has changed the same thing meanwhile.")
        case DBAPIError() | PostgresError() | InterfaceError() if _is_outage(error):
            log.warning("database unavailable: %s", getattr(error, "orig", error))
            return Problem(503, "The database is not available.")
        case PoolTimeoutError() | TimeoutError() if isinstance(error, PoolTimeoutError) or _of_database(error):
            log.warning("timeout: %r", error)
            return Problem(503, "The service is too busy.")
    return None


def sqlstate(error: Exception) -> str:
    """Return PostgreSQL's code for an error of SQLAlchemy or asyncpg; "" when it comes from elsewhere."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def _is_outage(error: Exception) -> bool:
    lost = isinstance(error, InterfaceError) or getattr(error, "connection_invalidated", False)
    # A table has been changed since the statement was prepared; the next one is prepared anew.
    outdated = isinstance(_of_driver(error), InvalidCachedStatementError)
    return lost or outdated or sqlstate(error).startswith(OUTAGES)


def _of_database(error: TimeoutError) -> bool:
    # asyncpg raises Python's own TimeoutError, as does whatever else a handler waits for; where it rose tells.
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    return any(module.partition(".")[0] == "asyncpg" for module in modules)


def _unstorable(error: Exception) -> bool:
    # A number that does not fit, or half a character, is noticed by asyncpg before PostgreSQL sees it.
    return sqlstate(error) in UNSTORABLE or isinstance(_of_driver(error).__cause__, OverflowError | UnicodeError)


def _of_driver(error: Exception) -> BaseException:
    """Return what asyncpg has raised; SQLAlchemy's own way there fails for a statement that is outdated."""
    translated = getattr(error, "orig", None)
    return (translated.__cause__ or translated) if translated else error


def _invalid_input(error: Mapping[str, Any]) -> dict[str, object]:
    # Names may be the client's own (an unknown field): only what looks like a name is repeated.
    location = [part for part in error["loc"] if re.fullmatch(r"[\w.-]{1,64}", str(part), re.ASCII)]
    message = error["msg"].removeprefix("Value error, ")
    if error["type"].endswith("_parsing"):
        message = message.partition(",")[0]  # what follows describes the input
    return {"location": location, "message": message, "type": error["type"]}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route's `responses=` needs to document these errors."""
    documented: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        schema = {"$ref": f"#/components/schemas/{'ValidationProblem' if status == 422 else 'Problem'}"}
        example = {} if status == 422 else {"example": json.loads(bytes(Problem(status).answer().body))}
        headers = dict.fromkeys(HEADERS.get(status, ()), HEADER)
        content = {MEDIA_TYPE: {"schema": schema, **example}}
        documented[status] = {"description": TITLES[status], "content": content, "headers": headers}
    return documented


def _object(required: Mapping[str, object], **optional: object) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


PART = {"anyOf": [TEXT, {"type": "integer"}]}
MEMBERS = {"type": TEXT, "title": TEXT, "status": {"type": "integer"}}
INPUT_ERROR = _object({"location": {"type": "array", "items": PART}, "message": TEXT, "type": TEXT})
SCHEMAS = {
    "Problem": _object(MEMBERS, detail=TEXT),
    "ValidationProblem": _object(MEMBERS | {"errors": {"type": "array", "items": INPUT_ERROR}}, detail=TEXT),
}


class ProblemAPI(FastAPI):
    """FastAPI whose errors are all problems, in what it answers and in what its OpenAPI document says."""

    def __init__(self, **options: Any) -> None:
        answered = (Problem, HTTPException, RequestValidationError, *DATABASE_ERRORS)
        super().__init__(exception_handlers=dict.fromkeys(answered, self._answer), **options)
        # The error itself goes on to the server, which logs it.
        closing = {"Connection": "close"}  # uvicorn does, after an error that nobody has expected
        self.add_exception_handler(Exception, lambda _request, _error: Problem(500, headers=closing).answer())

    async def _answer(self, request: Request, error: Exception) -> Response:
        problem = as_problem(error)
        if problem is None:
            raise error
        if problem.status == 405:  # FastAPI tells only the methods of the first route with this path
            scopes = ({**request.scope, "headers": [], "method": m} for m in ("GET", "POST", "PUT", "PATCH", "DELETE"))
            known = [s["method"] for s in scopes if any(r.matches(s)[0] is Match.FULL for r in self.routes)]
            problem.headers["Allow"] = ", ".join(known).replace("GET", "GET, HEAD")
        return problem.answer()

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()  # the same every time, and so is what is done to it here
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for replaced in ("HTTPValidationError", "ValidationError"):
            schemas.pop(replaced, None)
        schemas |= SCHEMAS
        for operation in (operation for path in document["paths"].values() for operation in path.values()):
            invalid = [422] if "422" in operation["responses"] else []
            for status, problem in problems(400, 413, *invalid).items():  # also where no body is wanted
                operation["responses"][str(status)] = problem
        return document
