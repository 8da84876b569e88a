"""What a calibration teaches a cascade, and how it gets into the policy."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sqlalchemy.engine import Engine

from gateway.decisions.schema import open_engine
from gateway.decisions.types import Ending, ObservationSource, Row
from gateway.decisions.write import insert
from gateway.learning.calibrate import Tally, calibrate
from gateway.learning.cascade import escalation_of, learn_cascade
from gateway.learning.store import EstimatorStore
from gateway.learning.tasks import TaskItem, TaskSet
from gateway.learning.train import train
from gateway.paths import StatePaths
from gateway.policyops.store import PolicyStore
from gateway.settings import Settings
from policies.checks import PatternCheck
from policies.escalation import Escalation
from policies.policy import Cascade
from tests.decision_rows import decision, observation, outcome, sqlite_url
from tests.gateways import USAGE_EVENT, remote, running
from tests.providers import Answer, ScriptedProvider, chat_events
from tests.training_log import log_samples
from tests.training_rows import samples

CASCADE = Cascade(first="tiny", then="full", checks=False)
DOCUMENT = """\
schema_version: 1
name: ours
fallback: [full, quantized]  # Ours.
cascade: {first: quantized, then: full}
rules:
  - {name: all, then: {cascade: true}}
"""


def put(number: int, variant: str, *, confidence: float | None, score: float, **changes: object) -> list[Row]:
    """One task as a variant answered it in a calibration."""
    name = f"dec_{variant}_{number:04}_{changes.get('created_at_s', 0)}"
    about = {"request_id": f"cal-{number}", "tags": {"calibration": "set"}, "pinned": True, "choice": variant}
    return [
        decision(name, **about | {key: changes[key] for key in changes if key != "ending"}),
        outcome(name, variant=variant, confidence=confidence, ending=changes.get("ending", Ending.DONE)),
        observation(name, score=score, source=ObservationSource.CHECK),
    ]


def world(first: str = "tiny") -> list[Row]:
    """Both variants on 200 tasks: the first fails where it is unsure, the other never."""
    rng = np.random.default_rng(7)
    rows = []
    for number, confidence in enumerate(rng.uniform(0.0, 1.0, 200).tolist()):
        rows += put(number, first, confidence=confidence, score=float(confidence > 0.3))
        rows += put(number, "full", confidence=None, score=1.0)
    return rows


def test_tasks_that_both_have_answered_teach_when_to_escalate(engine: Engine) -> None:
    assert insert(engine, world()) == 0
    learned = learn_cascade(engine, CASCADE)
    assert learned is not None
    assert learned.rows == 200
    assert learned.threshold == pytest.approx(0.3, abs=0.03)
    assert learned.recovers - learned.escalates > 0.6
    assert escalation_of(CASCADE, learned).fits(CASCADE)


async def test_a_calibration_with_the_cascade_in_force_tells_all_that_is_needed(tmp_path: Path) -> None:
    """No caller asks for log-probabilities: the gateway does, of the variant that the cascade begins with."""
    tasks = tuple(
        TaskItem(id=f"t{n}", prompt=f"question {n}", checks=(PatternCheck(pattern="Paris"),)) for n in range(60)
    )
    surely, unsurely = streamed("Paris", probability=0.9), streamed("Rome", probability=0.4)
    async with (
        ScriptedProvider(*[surely, unsurely] * 30) as tiny,
        ScriptedProvider(streamed("Paris", probability=0.9)) as full,
        running(tmp_path, remote("tiny", tiny), remote("full", full)) as gateway,
    ):
        policies = gateway.services.policies
        policies.swap(msgspec.structs.replace(policies.current, hash="c", cascade=CASCADE))
        tallies = {"tiny": Tally(), "full": Tally()}
        await calibrate(gateway.url, TaskSet(name="set", items=tasks), tallies, together=9)
        async with asyncio.timeout(10):
            while gateway.services.signals.stats.checks.scored < 2 * len(tasks):
                await asyncio.sleep(0.02)
    engine = open_engine(sqlite_url(tmp_path / "trilemma.db"))
    learned = learn_cascade(engine, CASCADE)
    engine.dispose()
    assert learned is not None
    assert learned.threshold == pytest.approx(0.65)
    assert (learned.rows, learned.escalates, learned.recovers) == (60, 0.5, 1.0)


def streamed(text: str, *, probability: float) -> Answer:
    """An answer of one token with its log-probability."""
    events = []
    for event in chat_events(text):
        data = msgspec.json.decode(event.removeprefix(b"data: "))
        data["choices"][0]["logprobs"] = {"content": [{"token": text, "logprob": math.log(probability)}]}
        events.append(b"data: %s\n\n" % msgspec.json.encode(data))
    return Answer(events=[*events, USAGE_EVENT])


def test_of_a_repeated_calibration_the_newest_answers_count(engine: Engine) -> None:
    again = [row for n in range(200) for row in put(n, "tiny", confidence=0.5, score=1.0, created_at_s=2e9)]
    assert insert(engine, world() + again) == 0
    assert learn_cascade(engine, CASCADE) is None, "now the first variant is never wrong"
    assert learn_cascade(engine, CASCADE, since_s=2e9) is None, "the second one has not answered since"


@pytest.mark.parametrize(
    "changes",
    [{"tags": {}}, {"pinned": False}, {"ending": Ending.FAILED}],
    ids=["no calibration", "routed", "broke off"],
)
def test_other_requests_teach_it_nothing(engine: Engine, changes: dict[str, object]) -> None:
    first = [row for n in range(200) for row in put(n, "tiny", confidence=n / 200, score=float(n > 60), **changes)]
    then = [row for n in range(200) for row in put(n, "full", confidence=None, score=1.0)]
    assert insert(engine, first + then) == 0
    assert learn_cascade(engine, CASCADE) is None


def test_without_a_confidence_there_is_nothing_to_learn(engine: Engine) -> None:
    unsaid = [row for n in range(200) for row in put(n, "tiny", confidence=None, score=0.0)]
    then = [row for n in range(200) for row in put(n, "full", confidence=None, score=1.0)]
    assert insert(engine, unsaid + then) == 0
    assert learn_cascade(engine, CASCADE) is None


def test_a_training_puts_the_threshold_in_force_once_and_leaves_the_document(tmp_path: Path) -> None:
    """The same log again teaches the same, which is not put in force a second time."""
    variant = {"kind": "remote", "engine": "openai", "source": "http://127.0.0.1:9"}
    figures = {"quality": 0.6, "ttft_s": 0.2, "tpot_s": 0.02, "price": {"compute_per_hour_usd": 1}}
    variants = [{"name": name} | variant | figures for name in ("full", "quantized")]
    settings = msgspec.convert({"variants": variants}, Settings)
    paths = StatePaths(root=tmp_path)
    log_samples(tmp_path, samples(100))
    engine = open_engine(sqlite_url(tmp_path / "trilemma.db"))
    assert insert(engine, world("quantized")) == 0
    PolicyStore(engine).publish(name="ours", hash_="x", text=DOCUMENT, author="a", reason="r", now_s=1.0)
    training = train(settings, paths)
    again = train(settings, paths)
    versions = PolicyStore(engine).versions()
    learned = Escalation.from_artifact(EstimatorStore(engine).get(training.in_force["cascade"], kind="cascade"))
    engine.dispose()
    assert (learned.first, learned.then) == ("quantized", "full")
    assert learned.threshold == pytest.approx(0.3, abs=0.03)
    assert training.promoted["cascade"]
    assert (again.promoted["cascade"], again.in_force["cascade"]) == (False, training.in_force["cascade"])
    assert [version.text for version in versions] == [DOCUMENT]


def test_a_threshold_that_the_document_states_is_left_alone(tmp_path: Path) -> None:
    variant = {"kind": "remote", "engine": "openai", "source": "http://127.0.0.1:9"}
    figures = {"quality": 0.6, "price": {"compute_per_hour_usd": 1}}
    settings = msgspec.convert(
        {"variants": [{"name": n} | variant | figures for n in ("full", "quantized")]}, Settings
    )
    log_samples(tmp_path, samples(60))
    engine = open_engine(sqlite_url(tmp_path / "trilemma.db"))
    assert insert(engine, world("quantized")) == 0
    text = DOCUMENT.replace("then: full}\nrules", "then: full, threshold: 0.8}\nrules")
    PolicyStore(engine).publish(name="ours", hash_="x", text=text, author="a", reason="r", now_s=1.0)
    training = train(settings, StatePaths(root=tmp_path))
    engine.dispose()
    assert "cascade" not in training.in_force
    assert "states the threshold itself" in training.because["cascade"]
