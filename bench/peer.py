"""A service in the manner of FastAPI's full-stack template, for `bench.api`; it runs in an environment of its own.

What it shares with the template is the shape: SQLModel with a synchronous session for each request, psycopg, JWTs
signed with HS256, Argon2 as pwdlib recommends it, a user who is loaded for every request, lists that are counted,
functions without `async` in FastAPI's threads, routers within routers, and what is imported for mail and error reports.
"""

import uuid
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import emails  # noqa: F401 - where mails are sent, which is imported at the start
import jinja2  # noqa: F401
import jwt
import sentry_sdk  # noqa: F401
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from pydantic import EmailStr, ValidationError
from pydantic_settings import BaseSettings
from sqlmodel import Field, Session, SQLModel, col, create_engine, func, select


class Settings(BaseSettings):
    database_url: str
    secret: str = "bench" * 8


settings = Settings()  # type: ignore[call-arg]
ALGORITHM = "HS256"
TOKEN_LIFE = timedelta(days=8)
HASHER = PasswordHash((Argon2Hasher(), BcryptHasher()))
UNKNOWN = HASHER.hash("nobody has this")  # so that a login takes as long without an account

engine = create_engine(settings.database_url.replace("postgresql:", "postgresql+psycopg:", 1))


class UserBase(SQLModel):
    email: EmailStr = Field(unique=True, index=True, max_length=255)
    is_active: bool = True
    is_superuser: bool = False
    full_name: str | None = Field(default=None, max_length=255)


class User(UserBase, table=True):
    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    hashed_password: str
    created_at: datetime | None = None


class UserPublic(UserBase):
    id: uuid.UUID
    created_at: datetime | None = None


class UsersPublic(SQLModel):
    data: list[UserPublic]
    count: int


class Token(SQLModel):
    access_token: str
    token_type: str = "bearer"


class TokenPayload(SQLModel):
    sub: str | None = None


def get_session() -> Generator[Session, None, None]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
TokenDep = Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="/api/v1/login/access-token"))]


def get_current_user(session: SessionDep, token: TokenDep) -> User:
    try:
        payload = TokenPayload(**jwt.decode(token, settings.secret, algorithms=[ALGORITHM]))
    except (jwt.InvalidTokenError, ValidationError):
        raise HTTPException(403, "Could not validate credentials") from None
    user = session.get(User, payload.sub)
    if not user:
        raise HTTPException(404, "User not found")
    if not user.is_active:
        raise HTTPException(400, "Inactive user")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


def get_current_superuser(current_user: CurrentUser) -> User:
    if not current_user.is_superuser:
        raise HTTPException(403, "The user doesn't have enough privileges")
    return current_user


login_router = APIRouter(tags=["login"])
users_router = APIRouter(prefix="/users", tags=["users"])
utils_router = APIRouter(prefix="/utils", tags=["utils"])


@login_router.post("/login/access-token")
def login(session: SessionDep, form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Token:
    user = session.exec(select(User).where(User.email == form.username)).first()
    fits, renewed = HASHER.verify_and_update(form.password, user.hashed_password if user else UNKNOWN)
    if not user or not fits:
        raise HTTPException(400, "Incorrect email or password")
    if renewed:
        user.hashed_password = renewed
        session.add(user)
        session.commit()
    claims = {"exp": datetime.now(UTC) + TOKEN_LIFE, "sub": str(user.id)}
    return Token(access_token=jwt.encode(claims, settings.secret, algorithm=ALGORITHM))


@users_router.get("/", dependencies=[Depends(get_current_superuser)], response_model=UsersPublic)
def read_users(session: SessionDep, skip: int = 0, limit: int = 100) -> Any:
    count = session.exec(select(func.count()).select_from(User)).one()
    users = session.exec(select(User).order_by(col(User.created_at).desc()).offset(skip).limit(limit)).all()
    return UsersPublic(data=[UserPublic.model_validate(user) for user in users], count=count)


@users_router.get("/me", response_model=UserPublic)
def read_me(current_user: CurrentUser) -> Any:
    return current_user


@utils_router.get("/health-check/")
async def health_check() -> bool:
    return True


api_router = APIRouter()
for router in (login_router, users_router, utils_router):
    api_router.include_router(router)

app = FastAPI(title="peer")
app.add_middleware(
    CORSMiddleware,
    allow_origins=["http://localhost:5173"],
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
)
app.include_router(api_router, prefix="/api/v1")
