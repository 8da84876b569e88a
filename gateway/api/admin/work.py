"""What all routes of the administration share: who changes something, and how what goes wrong is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Request

from gateway.api.access import principal
from gateway.api.database import database_work
from gateway.errors import InvalidRequestError, NotFoundError
from gateway.policyops.errors import NoSuchVersionError, RefusedError
from gateway.services import Services
from gateway.tenants.changes import Author
from gateway.tenants.errors import NoSuchKeyError, NoSuchTenantError, TenantsError
from policies.errors import DocumentError

__all__ = ("answered", "author_of")


def author_of(request: Request[Any, Any, Any], services: Services) -> Author:
    """Whoever sent the request, as the histories name them: the id of their key."""
    return Author(name=principal(request).key_id or "loopback", now_s=services.clock.wall_s())


@asynccontextmanager
async def answered() -> AsyncIterator[None]:
    """Bound the time of a change, and turn what it can fail by into what a caller sees.

    Raises:
        ApiError: It failed.
    """
    try:
        async with database_work():
            yield
    except (NoSuchTenantError, NoSuchKeyError, NoSuchVersionError) as error:
        raise NotFoundError(str(error)) from None
    except TenantsError as error:
        raise InvalidRequestError(str(error)) from None
    except RefusedError as error:
        places = "; ".join(f"line {f.line}, {f.path or 'document'}: {f.message}" for f in error.findings)
        raise InvalidRequestError(f"the document has errors: {places}", param="text", code="policy") from None
    except DocumentError as error:
        raise InvalidRequestError(str(error), param="text", code="policy") from None
