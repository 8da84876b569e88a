"""The composer: HTTP API, routing, decision log, configuration and command line."""

from importlib.metadata import version

__all__ = ("__version__",)

__version__ = version("trilemma")
