"""What the route handlers need, built once at start-up and handed to them by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.admission.admission import Admission
from gateway.clock import Clock
from gateway.console.state import Console
from gateway.decisions.log import DecisionLog
from gateway.decisions.types import Ending
from gateway.drain import Drain
from gateway.learning.estimators import ActiveEstimator
from gateway.learning.learning_report import LearningReports
from gateway.learning.signals import Signals
from gateway.ledger.ledger import Ledger
from gateway.limits.limiter import Limiter
from gateway.metrics.exposition import Exposition
from gateway.metrics.learning import LearningGauges
from gateway.metrics.promises import PromiseGauges
from gateway.policyops.active import ActivePolicy
from gateway.policyops.store import PolicyStore
from gateway.routing.answering import Answering
from gateway.routing.catalogue import Catalogue
from gateway.routing.decider import Decider
from gateway.routing.embedding import Embeddings
from gateway.settings import Settings
from gateway.sla.promises import Promises
from gateway.sla.report import Reports
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.tracing import Tracing
from gateway.tenants.directory import Directory
from policies.documents.findings import Known

__all__ = ("Services",)


@dataclass(kw_only=True)
class Services:
    """The parts of a running gateway."""

    settings: Settings
    clock: Clock
    log: DecisionLog
    catalogue: Catalogue
    decider: Decider
    policies: ActivePolicy
    policy_store: PolicyStore
    known: Callable[[], Known]
    """Names and figures that policy documents are held against; blocks."""
    estimators: ActiveEstimator
    admission: Admission
    answering: Answering
    embeddings: Embeddings
    directory: Directory
    ledger: Ledger
    limiter: Limiter
    promises: Promises
    reports: Reports
    signals: Signals
    tracing: Tracing
    telemetry: Telemetry
    """Is told of every request that has ended."""
    console: Console
    started_at_s: float
    """Unix time at which this process began to serve."""
    drain: Drain
    """Ends what is still running when the grace period is over."""
    promise_gauges: PromiseGauges
    """How tenants' promises stand, as read a minute ago at most."""
    learning: LearningReports
    """Whether routing gets better."""
    learning_gauges: LearningGauges
    """The same over a day of all traffic, as read some minutes ago."""
    exposition: Exposition = field(init=False)
    """The metrics; made last, for it tells of everything else."""
    stopping: bool = False
    """Set when the process has been told to stop: what is cut from then on was cut by us."""

    def interrupted(self) -> Ending:
        """How a request ended that was cut before its answer was complete."""
        return Ending.STOPPED if self.stopping else Ending.CANCELLED
