"""Everything that can be set from outside, read once from the environment and passed down; never a global."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from marketplace.core.clock import Clock, FixedClock, SystemClock
from marketplace.core.errors import Invalid
from marketplace.core.signatures import is_secret


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process.

    home: folder of the embedded server and of files this product writes on its own account.
    database_url: `postgresql+asyncpg://…` of a server of your own; None means the embedded one.
    citus: create distributed tables on migration; the server at `database_url` must be a Citus coordinator.
    host, port: where the web server listens.
    cookie_secure: send the session cookie over HTTPS only; off by default because the first run is on loopback.
    clock_at: a fixed instant instead of the system clock, for replays and tests.
    user: who writes when the command line names nobody with `--as`.
    pool_size: connections of one process, at least 2: a long request holds one and works through others.
    rate_limit: requests per minute of an API key or a signed-in user, over all processes; 0 is no limit.
    rate_limit_anonymous: the same of an address from which nobody has signed in, and of each wrong API key.
    fonts: a folder of fonts for documents, behind those that come with the program, which have no Chinese.
    webhooks_private: webhooks may go to loopback (then also without TLS) and to private networks; for trials only.
    processor, processor_url, processor_secret: the payment processor's name, where it listens, and the secret that we
    show it and it signs its events with (whsec_ and base64). Without them payments wait to be sent, and no event is let
    in.
    bank_folder: where the worker looks for files of banks and processors; nowhere without it.
    address: what this program is reached at from outside, for the links in mails; host and port when not given.
    mail_url, mail_from: `smtp://user:password@host:587` (with STARTTLS), `smtps://…`, or `smtp+plain://…` without any
    encryption, and whom mails are from; without it they are written to the folder `mail` of home.
    oidc_issuer, oidc_client_id, oidc_client_secret: a provider with which the house's people sign in.
    """

    home: Path
    database_url: str | None = None
    citus: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    cookie_secure: bool = False
    clock_at: datetime | None = None
    user: str | None = None
    processor: str = "simulator"
    pool_size: int = 8
    rate_limit: int = 60_000
    rate_limit_anonymous: int = 600
    fonts: Path | None = None
    webhooks_private: bool = False
    processor_url: str | None = None
    processor_secret: str | None = None
    bank_folder: str | None = None
    address: str | None = None
    mail_url: str | None = None
    mail_from: str = "marketplace@localhost"
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = None

    @property
    def base(self) -> str:
        """The address that links in mails begin with."""
        return (self.address or f"http://{self.host}:{self.port}").rstrip("/")

    def clock(self) -> Clock:
        return FixedClock(self.clock_at) if self.clock_at else SystemClock()


def load_settings(env: Mapping[str, str] = os.environ, **overrides: object) -> Settings:
    """Settings from `MARKETPLACE_*` variables; `overrides` that are not None win. Invalid names a bad variable."""
    values: dict[str, object] = {"home": Path(env.get("MARKETPLACE_HOME") or Path.home() / ".marketplace")}
    fields = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for name, kind in fields.items():
        text = env.get(f"MARKETPLACE_{name.upper()}")
        if text and name != "home":
            try:
                values[name] = msgspec.convert(text, kind, strict=False, dec_hook=lambda _, value: Path(value))
            except msgspec.ValidationError as fault:
                raise Invalid(f"MARKETPLACE_{name.upper()}: {fault}") from fault
    values |= {name: value for name, value in overrides.items() if value is not None}
    settings = Settings(**values)  # type: ignore[arg-type]  # msgspec.convert checked each value above
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    """Raises Invalid for what a type cannot say."""
    if settings.database_url and not settings.database_url.startswith("postgresql+asyncpg://"):
        raise Invalid("MARKETPLACE_DATABASE_URL: must start with postgresql+asyncpg://")
    if settings.pool_size < 2:
        raise Invalid("MARKETPLACE_POOL_SIZE: must be at least 2, because a long request needs two connections")
    for name in ("rate_limit", "rate_limit_anonymous"):
        if not 0 <= getattr(settings, name) < 2**31:
            raise Invalid(f"MARKETPLACE_{name.upper()}: must be 0 (no limit) to {2**31 - 1} requests per minute")
    if settings.processor_secret is not None and not is_secret(settings.processor_secret):
        raise Invalid('MARKETPLACE_PROCESSOR_SECRET: must be "whsec_" and base64')
    if settings.oidc_issuer and not (settings.oidc_client_id and settings.oidc_client_secret):
        raise Invalid("MARKETPLACE_OIDC_CLIENT_ID and _SECRET: the issuer needs both")
    if settings.clock_at and settings.clock_at.tzinfo is None:
        raise Invalid("MARKETPLACE_CLOCK_AT: must carry an offset, such as 2018-06-01T09:00:00+00:00")
