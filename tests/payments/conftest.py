"""The callers of the API's tests, here too."""

from tests.http.conftest import app, caller

__all__ = ["app", "caller"]
