# mypy: disable-error-code="import-not-found"
"""The configuration of Superset, read inside its own environment: nothing of this project is imported.

`SUPERSET_HOME` is the folder of the state; `state.json` in it has the secret key, and the address by which
each account reads the warehouse. Nothing here is a secret.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url

_STATE = json.loads((Path(os.environ["SUPERSET_HOME"]) / "state.json").read_text())


def _derive_key(purpose: str) -> str:
    return hashlib.sha256(f"{purpose}:{_STATE['secret_key']}".encode()).hexdigest()


APP_NAME = "MyProperty dashboards"
SECRET_KEY = _STATE["secret_key"]
# Superset has defaults for these two that everybody knows.
GUEST_TOKEN_JWT_SECRET = _derive_key("guest")
GLOBAL_ASYNC_QUERIES_JWT_SECRET = _derive_key("async")
# Cookies have no port: those of another program on this machine must not collide.
SESSION_COOKIE_NAME = "myproperty_dashboards"
SESSION_COOKIE_SAMESITE = "Strict"
ENABLE_CORS = False
FAB_API_SWAGGER_UI = False
CELERY_CONFIG = None
LOG_LEVEL = "WARNING"
# The answer to a query depends on who asks.
FEATURE_FLAGS = {"CACHE_QUERY_BY_USER": True}

# A page loads from this server alone: no pixel that counts users, no map, no font of others.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'", "data:"],
        "frame-ancestors": ["'none'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}


def connect_as_viewer(
    address: URL, options: dict[str, Any], username: str | None, _security: Any, _source: Any
) -> tuple[URL, dict[str, Any]]:
    """Return the address by which an account reads: on PostgreSQL by its own login of the warehouse.

    Without an account (the import of the assets) it is the login of dashboards. Superset keeps no password.
    """
    accounts = _STATE["accounts"]
    if username is not None and username not in accounts:
        raise PermissionError(f"{username} is no reader of the warehouse: add a line to tenant_readers.csv")
    own = make_url((accounts[username]["database"] if username else None) or _STATE["database"])
    asked = address.set(username=own.username, password=own.password, host=own.host, port=own.port)
    return asked, options


DB_CONNECTION_MUTATOR = connect_as_viewer
