"""Sign-in with an OpenID provider: authorisation code with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 9700).

A person of the provider is one of ours from the first time on that its verified e-mail address is the one of a user of
the house; from then on it is known by the provider's own id, whatever becomes of the address.
"""

import base64
import hashlib
import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from marketplace.core import audit
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Forbidden
from marketplace.core.people.second_factor import Halfway
from marketplace.core.people.tables import identity, oidc_attempt
from marketplace.core.sessions import SignedIn, hash_secret
from marketplace.core.tables import app_user
from marketplace.core.users import User, clean_email, let_in

ATTEMPT_MAX = timedelta(minutes=10)
_TIMEOUT_S = 10.0
_ALGORITHMS = ["RS256", "PS256", "ES256", "Ed25519", "EdDSA"]
_LEEWAY_S = 30
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ProviderFailed(AppError):
    """The provider did not answer, or not as the protocol demands; nobody is signed in."""

    code = "provider-failed"
    status = 400
    title = "The sign-in with the provider failed"


class Provider(msgspec.Struct, frozen=True):
    """One provider, and what it knows this program as."""

    issuer: str
    client_id: str
    client_secret: str


class Begun(msgspec.Struct, frozen=True):
    """Where to send the browser, and what it must bring back."""

    url: str
    state: str


class _Endpoints(msgspec.Struct, frozen=True):
    """What a provider says of itself (OpenID Connect Discovery 1.0)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _Person(msgspec.Struct, frozen=True):
    """Whom the provider vouches for."""

    subject: str
    email: str | None


class Arrived(msgspec.Struct, frozen=True):
    """Someone the provider vouched for is in, or halfway where the user has a second factor here."""

    opened: SignedIn | Halfway
    next_path: str


async def begin(db: Database, provider: Provider, redirect_uri: str, next_path: str) -> Begun:
    """Remember an attempt and say where it goes on. Raises ProviderFailed."""
    endpoints = await _discover(provider)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    await db.write(WORKER, "anonymous", _remember, state, nonce, verifier, next_path)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": "openid email profile",
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return Begun(f"{endpoints.authorization_endpoint}?{urlencode(query)}", state)


async def _remember(tx: Tx, state: str, nonce: str, verifier: str, next_path: str) -> None:
    row = {"state_hash": hash_secret(state), "nonce": nonce, "verifier": verifier, "next_path": next_path}
    await tx.execute(insert(oidc_attempt), row | {"expires_at": tx.now + ATTEMPT_MAX})


async def finish(
    db: Database, provider: Provider, redirect_uri: str, state: str, code: str, *, address: str, user_agent: str
) -> Arrived:
    """Exchange the code for who it is, and let that user in. A state counts once. Raises ProviderFailed, Forbidden."""
    attempt = await db.write(WORKER, "anonymous", _use, state)
    endpoints = await _discover(provider)
    person = await _exchange(db, provider, endpoints, redirect_uri, code, attempt.verifier, attempt.nonce)
    user = await db.write(WORKER, "provider", _known, provider.issuer, person)
    opened = await db.write(WORKER, user.login, _enter, user, address, user_agent)
    return Arrived(opened, attempt.next_path)


class _Attempt(msgspec.Struct, frozen=True):
    nonce: str
    verifier: str
    next_path: str


async def _use(tx: Tx, state: str) -> _Attempt:
    used = await tx.execute(
        delete(oidc_attempt)
        .where(oidc_attempt.c.state_hash == hash_secret(state), oidc_attempt.c.expires_at > tx.now)
        .returning(*(oidc_attempt.c[name] for name in _Attempt.__struct_fields__))
    )
    row = used.first()
    if row is None:
        raise ProviderFailed("state: is none that was begun here, or was used")
    return _Attempt(row.nonce, row.verifier, row.next_path)


async def _discover(provider: Provider) -> _Endpoints:
    url = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
    async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
        found: _Endpoints = _decoded(await _ask(client, "GET", url), _Endpoints)
    if found.issuer != provider.issuer:
        raise ProviderFailed("issuer: the provider calls itself something else")
    for address in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
        parts = urlsplit(address)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise ProviderFailed("the provider must be reached by https")
    return found


async def _exchange(
    db: Database,
    provider: Provider,
    endpoints: _Endpoints,
    redirect_uri: str,
    code: str,
    verifier: str,
    nonce: str,
) -> _Person:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
    async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
        who = httpx.BasicAuth(provider.client_id, provider.client_secret)
        token = _decoded(await _ask(client, "POST", endpoints.token_endpoint, data=form, auth=who), _Token)
        keys = _decoded(await _ask(client, "GET", endpoints.jwks_uri), dict[str, Any])
    rules = jwt.JWTClaimsRegistry(
        now=int(db.clock.now().timestamp()),
        leeway=_LEEWAY_S,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": provider.client_id},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    try:
        claims = jwt.decode(token.id_token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS).claims
        rules.validate(claims)
    except (JoseError, ValueError, KeyError, TypeError) as fault:
        raise ProviderFailed(f"id_token: {fault}") from fault
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != provider.client_id:
        raise ProviderFailed("id_token: was made for somebody else, too")
    email = claims.get("email") if claims.get("email_verified") is True else None
    return _Person(str(claims["sub"]), str(email) if email else None)


class _Token(msgspec.Struct, frozen=True):
    id_token: str


async def _ask(client: httpx.AsyncClient, method: str, url: str, **more: Any) -> bytes:
    try:
        answer = await client.request(method, url, **more)
    except httpx.HTTPError as fault:
        raise ProviderFailed(f"the provider cannot be reached: {type(fault).__name__}") from fault
    if answer.status_code != httpx.codes.OK:
        raise ProviderFailed(f"the provider answered with {answer.status_code}")
    return answer.content


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as fault:
        raise ProviderFailed(f"the provider's answer cannot be read: {fault}") from fault


_COLUMNS = [app_user.c[name] for name in User.__struct_fields__]


async def _known(tx: Tx, issuer: str, person: _Person) -> User:
    """The user of the house behind the provider's person; linked by its verified address the first time."""
    linked = (identity.c.issuer == issuer) & (identity.c.subject == person.subject)
    row = await tx.row(select(*_COLUMNS).join(identity, identity.c.user_id == app_user.c.user_id).where(linked))
    if row is None and person.email:
        row = await _by_address(tx, issuer, person)
    user = User(*row) if row else None
    if user is None or not user.active or not user.is_staff:
        raise Forbidden("no user of the house has this provider's verified e-mail address")
    return user


async def _by_address(tx: Tx, issuer: str, person: _Person) -> Any:
    rows = await tx.rows(
        select(*_COLUMNS).where(app_user.c.email == clean_email(person.email or ""), app_user.c.active)
    )
    staff = [row for row in rows if User(*row).is_staff]
    if len(staff) != 1:
        return None
    row = {"issuer": issuer, "subject": person.subject, "user_id": staff[0].user_id, "linked_at": tx.now}
    made = await tx.execute(upsert(identity).values(row).on_conflict_do_nothing())
    if made.rowcount == 0:  # the user is another person of that provider already
        return None
    await audit.record(tx, "linked to provider", f"user:{staff[0].login}", issuer=issuer)
    return staff[0]


async def _enter(tx: Tx, user: User, address: str, user_agent: str) -> SignedIn | Halfway:
    return await let_in(tx, user, address=address, user_agent=user_agent)
