"""One line per event on standard error, for the supervisor to keep."""

from __future__ import annotations

import logging
import sys

__all__ = ("configure_logs",)


def configure_logs() -> None:
    """Send this process's log there."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for chatty in ("uvicorn", "transformers", "ContinuousBatchingLogger"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
