"""An OpenID provider in a process of its own: `python -m tests.people.provider` prints the port that it listens on.

`POST /control` says who signs in next, and what is to be wrong with what it answers.
"""

import base64
import hashlib
import json
import secrets
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "marketplace", "a secret of the client"
KEY, OTHER = RSAKey.generate_key(2048, {"kid": "one"}), RSAKey.generate_key(2048, {"kid": "one"})


class Handler(BaseHTTPRequestHandler):
    person: ClassVar[dict[str, Any]] = {}
    wrong = ""
    port: ClassVar[int] = 0
    codes: ClassVar[dict[str, dict[str, str]]] = {}

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is the base class's
        pass

    def answer(self, body: Any, status: int = 200, **headers: str) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        if path == "/.well-known/openid-configuration":
            ways = {name: f"{self.issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
            self.answer({"issuer": self.issuer, **ways})
        elif path == "/jwks_uri":
            self.answer({"keys": [KEY.as_dict(private=False)]})
        elif path == "/authorization_endpoint" and query["client_id"] == CLIENT:
            code = secrets.token_urlsafe(16)
            Handler.codes[code] = query
            back = urlencode({"code": code, "state": query["state"], "iss": self.issuer})
            self.answer({}, 302, Location=f"{query['redirect_uri']}?{back}")
        else:
            self.answer({}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/control":
            told = json.loads(body)
            Handler.person, Handler.wrong = told["person"], told.get("wrong", "")
            self.answer({})
            return
        form = {k: v[0] for k, v in parse_qs(body).items()}
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = Handler.codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode()
        if (
            self.headers["Authorization"] != f"Basic {basic}"
            or asked is None
            or asked["code_challenge"] != challenge.rstrip("=")
            or asked["code_challenge_method"] != "S256"
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            self.answer({"error": "invalid_grant"}, 400)
            return
        self.answer({"access_token": "x", "token_type": "Bearer", "id_token": self.token(asked["nonce"])})

    def token(self, nonce: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            **self.person,
        }
        wrong: dict[str, dict[str, Any]] = {
            "nonce": {"nonce": "another"},
            "audience": {"aud": "another"},
            "both": {"aud": [CLIENT, "another"], "azp": "another"},
            "issuer": {"iss": "https://another.test"},
            "late": {"exp": now - 3600},
        }
        claims |= wrong.get(self.wrong, {})
        if self.wrong == "unsigned":
            parts = [{"alg": "none"}, claims]
            encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
            return ".".join([*encoded, ""])
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, OTHER if self.wrong == "key" else KEY)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.port = server.server_port
    print(server.server_port, flush=True)
    server.serve_forever()
