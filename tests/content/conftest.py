from tests.http.conftest import app, caller, client

__all__ = ["app", "caller", "client"]
