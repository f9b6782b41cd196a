"""Ask a server whether a database is there, over its socket, without starting a program or loading a driver."""

from __future__ import annotations

import socket
import struct
from enum import Enum
from pathlib import Path

# Version 3.0: https://www.postgresql.org/docs/current/protocol-message-formats.html
PROTOCOL = 196_608
# Error codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
INVALID_CATALOG_NAME = b"3D000"
CANNOT_CONNECT_NOW = b"57P03"
TOO_MANY_CONNECTIONS = b"53300"
TERMINATE = b"X\0\0\0\x04"
ANSWER_SECONDS = 5.0


class Answer(Enum):
    """What the server says to someone who wants to connect to a database.

    Not yet is a server that starts, stops or recovers from a crash; silent is one that is not there, hangs, or wants
    more than a name.
    """

    PRESENT = "present"
    MISSING = "missing"
    NOT_YET = "not yet"
    SILENT = "silent"


# A full server is a running one; whoever connects next is told so by the server itself.
ERRORS = {
    INVALID_CATALOG_NAME: Answer.MISSING,
    CANNOT_CONNECT_NOW: Answer.NOT_YET,
    TOO_MANY_CONNECTIONS: Answer.PRESENT,
}


def greet(path: Path, database: str) -> Answer:
    """Connect as `postgres` and leave at once, in about two milliseconds; psql takes ten."""
    parameters = b"".join(text.encode() + b"\0" for text in ("user", "postgres", "database", database, ""))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(str(path))
            connection.sendall(struct.pack("!II", len(parameters) + 8, PROTOCOL) + parameters)
            return read_answer(connection)
    except (OSError, EOFError):
        return Answer.SILENT


def read_answer(connection: socket.socket) -> Answer:
    while True:
        kind, body = read_message(connection)
        if kind == b"E":
            return ERRORS.get(error_code(body), Answer.SILENT)
        if kind == b"R" and body[:4] != b"\0\0\0\0":
            return Answer.SILENT  # It asks for a password, which our own servers never do.
        if kind == b"Z":
            # Heard to its end and said goodbye: otherwise the server would log a broken connection.
            connection.sendall(TERMINATE)
            return Answer.PRESENT


def error_code(body: bytes) -> bytes:
    """Return the code in an ErrorResponse, which is a list of fields: a letter, a text, a zero byte."""
    return next((field[1:] for field in body.split(b"\0") if field.startswith(b"C")), b"")


def read_message(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return type and content of the next message. Raises: EOFError: the server hung up."""
    header = read_exactly(connection, 5)
    return header[:1], read_exactly(connection, int.from_bytes(header[1:], "big") - 4)


def read_exactly(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        if not (part := connection.recv(count - len(content))):
            raise EOFError
        content += part
    return content
