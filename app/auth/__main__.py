"""`python -m app.auth admin ada@example.com`: make an administrator, from a new or an existing user."""

import argparse
import asyncio
import sys
from getpass import getpass

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from app import clock
from app.auth.models import Credential
from app.auth.passwords import Passwords, refusal
from app.config import Settings, load_settings
from app.database import create_engine, create_sessions
from app.errors import Problem, sqlstate
from app.users.models import Role, User
from app.users.schemas import UserAdministration, valid_email
from app.users.service import change_user, create_user, has_email


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.auth", description="Manage accounts.")
    parser.add_argument("command", choices=["admin"], help="make an administrator; a new user is asked for a password")
    parser.add_argument("email")
    email = parser.parse_args().email
    try:
        email = valid_email(email)
    except ValueError:
        sys.exit(f"{email} is not an e-mail address.")
    print(asyncio.run(make_admin(email, load_settings())))  # noqa: T201 - the command's answer


async def make_admin(email: str, settings: Settings) -> str:
    engine = create_engine(settings.database_url.get_secret_value(), pool_size=1)
    sessions = create_sessions(engine)
    try:
        async with sessions.begin() as session:
            if user_id := await session.scalar(select(User.id).where(has_email(email))):
                await change_user(session, user_id, UserAdministration(role=Role.ADMIN, active=True))
                return f"{email} is an administrator now."
        # No transaction waits for whoever types: the server ends one that is idle.
        password_hash = await Passwords().hash(read_password(email, settings))
        async with sessions.begin() as session:
            user = await create_user(session, email, email.partition("@")[0], Role.ADMIN)
            session.add(Credential(user_id=user.id, password_hash=password_hash, changed_at=clock.now()))
        return f"{email} is a new user, and an administrator."
    except Problem as taken:
        sys.exit(f"{taken.detail} Run the same command again.")  # they signed up while the password was typed
    except DBAPIError as error:
        if sqlstate(error) == "42P01":
            sys.exit("The database has no users table yet. First: alembic upgrade head")
        sys.exit(f"The database cannot be used: {str(error.orig).splitlines()[0]}")
    finally:
        await engine.dispose()


def read_password(email: str, settings: Settings) -> str:
    """Ask for it, or read it from standard input where that is no terminal. There is none by default."""
    asks = sys.stdin.isatty()
    password = getpass(f"Password for {email}: ") if asks else sys.stdin.readline().rstrip("\n")
    if refused := refusal(password, settings.password_min_length, email):
        sys.exit(f"The password is refused: {refused}.")
    if asks and getpass("Once more: ") != password:
        sys.exit("The passwords differ. Nothing was done.")
    return password


if __name__ == "__main__":
    main()
