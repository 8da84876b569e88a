"""A learner as bytes, so that a process continues where another ended: statistics, traffic and what was counted.

Nothing in it can run: it is decoded against a schema, and its arrays are checked for their shapes. The fit is not
part of it; a snapshot is read under the fit that it was taken under, and under no other.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.errors import ArtifactError
from policies.estimators.latency import CARD, LatencyModel
from policies.learner.fit import Fit
from policies.learner.learner import Counted, Learner
from policies.learner.model import JointModel, Receipt
from policies.learner.moments import Moments
from policies.learner.posterior import Variances, solve
from policies.learner.traffic import Traffic
from policies.types import Profile

__all__ = ("MAX_BYTES", "Snapshot", "decode", "encode", "taken")

F64 = NDArray[np.float64]

FORMAT = 1
MAX_BYTES = 64_000_000
"""Of a snapshot, unpacked."""


class _Model(msgspec.Struct, frozen=True, kw_only=True):
    """One joint model; arrays as bytes of float64."""

    names: tuple[str, ...]
    columns: bytes
    """Entries that any record has touched, as int32; the sums are those of these."""
    tenants: dict[str, tuple[bytes, bytes, bytes, bytes]]
    variances: dict[str, tuple[bytes, bytes, bytes]]
    changes: dict[str, list[float]]
    records: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A learner at one moment."""

    format: int
    fit: str
    groups: bytes
    """Columns of groups, as int32: the first basis gives them as groups appear."""
    quality: _Model
    length: _Model
    profiles: dict[str, Profile]
    counted: dict[str, tuple[float | None, float, tuple[str, str, float, float] | None]]
    tried: dict[str, int]
    requests: int
    answered: int
    judged: int
    traffic: list[tuple[str, int, bytes, float, float]]
    """Tenant, requests, mean vector, mean prompt tokens, mean of 1 / limit."""
    corrections: dict[str, dict[str, list[list[float]]]] = {}
    note: bytes = b""


def taken(learner: Learner, *, note: bytes = b"") -> Snapshot:
    """A learner as it is now; quick, so that what is slow can be done elsewhere.

    Args:
        learner: Not changed meanwhile.
        note: Kept with it for its owner.
    """
    state = learner.state()
    return Snapshot(
        format=FORMAT,
        fit=learner.fit.hash,
        groups=learner.fit.basis.arrays()["groups"].astype("<i4").tobytes(),
        quality=_model_out(state.quality),
        length=_model_out(state.length),
        profiles=dict(state.profiles),
        counted={name: (c.quality, c.weight, c.receipt and c.receipt[:4]) for name, c in state.counted.items()},
        tried=dict(learner.tried),
        requests=learner.requests,
        answered=learner.answered,
        judged=learner.judged,
        traffic=[
            (name, t.requests, t.mean.tobytes(), t.prompt_tokens, t.per_limit) for name, t in state.traffic.items()
        ],
        corrections=learner.corrections.snapshot(),
        note=note,
    )


def encode(snapshot: Snapshot) -> bytes:
    """Its bytes."""
    return zlib.compress(msgspec.msgpack.encode(snapshot), level=1)


def decode(data: bytes, *, fit: Fit, latency: LatencyModel = CARD) -> tuple[Learner, bytes]:
    """The learner of a snapshot, and the note that was kept with it.

    Raises:
        ArtifactError: It is damaged, too large, or was taken under another fit.
    """
    try:
        inflate = zlib.decompressobj()
        snapshot = msgspec.msgpack.decode(inflate.decompress(data, MAX_BYTES), type=Snapshot)
        if not inflate.eof or snapshot.format != FORMAT or snapshot.fit != fit.hash:
            raise ArtifactError("the snapshot was taken under another fit, or by another version")
        learner = Learner(fit, latency=latency)
        learner.fit.basis.regroup(np.frombuffer(snapshot.groups, "<i4"))
        learner.introduce(snapshot.profiles)
        state = learner.state()
        _model_in(snapshot.quality, state.quality)
        _model_in(snapshot.length, state.length)
        learner.corrections.restore(snapshot.corrections)
        for name, requests, mean, prompt_tokens, per_limit in snapshot.traffic:
            traffic = Traffic(fit.basis.size)
            traffic.requests, traffic.mean = requests, _floats(mean, (fit.basis.size,))
            traffic.prompt_tokens, traffic.per_limit = prompt_tokens, per_limit
            learner.restore_traffic(name, traffic)
    except (zlib.error, msgspec.MsgspecError, ValueError, KeyError, UnicodeDecodeError) as error:
        raise ArtifactError(f"the snapshot cannot be read: {error}") from None
    learner.restore_counts(
        {
            name: Counted(quality, weight, receipt and Receipt(*receipt))
            for name, (quality, weight, receipt) in snapshot.counted.items()
        },
        tried=Counter(snapshot.tried),
        requests=snapshot.requests,
        answered=snapshot.answered,
        judged=snapshot.judged,
    )
    return learner, snapshot.note


def _model_out(model: JointModel) -> _Model:
    tenants, variances = model.statistics
    diagonal = sum((np.diagonal(m.square, axis1=1, axis2=2).sum(axis=0) for m in tenants.values()), np.zeros(1))
    columns = np.flatnonzero(diagonal)
    return _Model(
        names=model.names,
        columns=columns.astype("<i4").tobytes(),
        tenants={
            tenant: (
                m.square[:, columns][:, :, columns].tobytes(),
                m.target[:, columns].tobytes(),
                m.rows.tobytes(),
                m.weight.tobytes(),
            )
            for tenant, m in tenants.items()
        },
        variances={t: (v.shared.tobytes(), v.own.tobytes(), v.noise.tobytes()) for t, v in variances.items()},
        changes=dict(model.changes),
        records=model.records,
    )


def _model_in(stored: _Model, model: JointModel) -> None:
    columns = np.frombuffer(stored.columns, "<i4")
    k, n, size = len(stored.names), len(columns), model.size
    if set(stored.names) != set(model.names) or (n and not (columns.min() >= 0 and columns.max() < size)):
        raise ValueError("the variants or the columns do not fit")
    order = [stored.names.index(name) for name in model.names]
    tenants = {}
    for tenant, (square, target, rows, weight) in stored.tenants.items():
        moments = Moments.zeros(k, size)
        moments.square[np.ix_(np.arange(k), columns, columns)] = _floats(square, (k, n, n))[order]
        moments.target[:, columns] = _floats(target, (k, n))[order]
        moments.rows[:], moments.weight[:] = _floats(rows, (k,))[order], _floats(weight, (k,))[order]
        tenants[tenant] = moments
    variances = {
        tenant: Variances(shared=_floats(s, (4,)), own=_floats(o, (4,)), noise=_floats(noise, (k,))[order])
        for tenant, (s, o, noise) in stored.variances.items()
    }
    model.restore(tenants, variances, changes=stored.changes, records=stored.records)
    for tenant in variances:
        # Another evidence step would move predictions although nothing was learned.
        model.take(tenant, solve(replace(model.problem(tenant), steps=0)))


def _floats(data: bytes, shape: tuple[int, ...]) -> F64:
    array: NDArray[Any] = np.frombuffer(data, np.float64).reshape(shape).copy()
    if not np.isfinite(array).all():
        raise ValueError("a figure is not finite")
    return array
