from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.config import settings_schema
from gateway.routing.policy import policy_from
from gateway.settings import default_text, load_settings
from policies.errors import DocumentError
from policies.policy import Exploration, ExplorationMethod

VARIANT = "{name: a, kind: quantized, engine: openvino, source: 'built:q8_0', price: {compute_per_hour_usd: 0.1}}"


def written(directory: Path, text: str | bytes) -> Path:
    path = directory / "trilemma.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_the_built_in_configuration_has_three_variants_and_an_alias() -> None:
    settings = load_settings()
    assert [variant.name for variant in settings.variants] == ["quantized", "full", "distilled"]
    assert settings.aliases == {"small": ("quantized", "distilled")}


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, f"variants:\n  - {VARIANT}\n"))
    assert (settings.server.port, settings.server.drain_s, settings.policy.explored()) == (8080, 20.0, Exploration())


@pytest.mark.parametrize(
    ("section", "explored"),
    [
        ("{epsilon: 0.2}", Exploration(epsilon=0.2)),
        ("{temperature: 0}", Exploration()),
        ("{temperature: 0.1}", Exploration(method=ExplorationMethod.EPSILON_SOFTMAX, temperature=0.1)),
        ("{exploration: {first: 5}, epsilon: 0.2}", Exploration(epsilon=0.2, first=5)),
    ],
)
def test_exploration_is_configured_whole_or_by_the_keys_of_before(
    tmp_path: Path, section: str, explored: Exploration
) -> None:
    text = f"variants:\n  - {VARIANT}\npolicy: {section}\n"
    assert policy_from(load_settings(written(tmp_path, text))).exploration == explored


def test_a_figure_of_the_exploration_is_given_in_one_place_only(tmp_path: Path) -> None:
    text = f"variants:\n  - {VARIANT}\npolicy: {{exploration: {{epsilon: 0.1}}, epsilon: 0.2}}\n"
    with pytest.raises(DocumentError, match="both given"):
        load_settings(written(tmp_path, text))


def test_the_documented_default_says_what_the_code_assumes(tmp_path: Path) -> None:
    stated = load_settings()
    bare = load_settings(written(tmp_path, f"variants:\n  - {VARIANT}\n"))
    for section in ("server", "policy", "store", "build", "training"):
        assert getattr(stated, section) == getattr(bare, section)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("server:\n  prot: 1\n", "2:3", ["unknown key `prot`", "in server", "did you mean `port`"]),
        ("server:\n  port: 70000\n", "2:9", ["<= 65535", "server.port"]),
        ("server:\n  port: '8080'\n", "2:9", ["Expected `int`, got `str`", "server.port"]),
        ("sever: {}\n", "1:1", ["unknown key `sever`", "did you mean `server`"]),
        ("policy: {epsilon: 1.5}\n", "1:19", ["<= 1.0", "policy.epsilon"]),
        ("policy: {priorities: {speed: {sped: 1}}}\n", "1:31", ["unknown key `sped`", "policy.priorities"]),
        ("policy:\n  epsilon: .inf\n", "2:12", ["not finite"]),
        ("store: {flush_interval_s: 0}\n", "1:27", ["> 0", "store.flush_interval_s"]),
        ("build: {distill_minutes: -1}\n", "1:26", [">= 0", "build.distill_minutes"]),
        ("aliases: {x: []}\n", "1:14", ["length >= 1", "aliases.x"]),
        ("server: {port: 1}\nserver: {port: 2}\n", "2:1", ["`server`", "twice"]),
        ("server: [1,\n", "2:1", []),
        ("- 1\n", "1:1", ["Expected `object`, got `array`"]),
        ("server: {port: 1}\nhost\ud83d: [", "2:", []),
    ],
)
def test_a_bad_value_is_told_with_file_line_column_and_key(
    tmp_path: Path, text: str, place: str, words: list[str]
) -> None:
    path = written(tmp_path, text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DocumentError) as caught:
        load_settings(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{place}")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("variant", "blamed", "words"),
    [
        (VARIANT.replace("{compute_per_hour_usd: 0.1}", "{}"), "{}", ["per-token", "variants[0].price"]),
        (VARIANT.replace("openvino", "openvno"), "openvno", ["openvno", "variants[0].engine"]),
        (VARIANT.replace("name: a", "name: A"), "A,", ["variants[0].name"]),
        (VARIANT.replace("name: a, ", ""), "{kind", ["required field `name`", "variants[0]"]),
        (VARIANT.replace("}}", "}, warmm: always}"), "warmm", ["unknown key `warmm`", "did you mean `warm`"]),
        (VARIANT.replace("openvino", "openai"), "{name", ["`remote` and engine `openai` go together"]),
        (VARIANT.replace("}}", "}, api_key: sk-123}"), "{name", ["env:NAME"]),
    ],
)
def test_a_bad_variant_is_told_with_its_place(tmp_path: Path, variant: str, blamed: str, words: list[str]) -> None:
    line = f"  - {variant}"
    with pytest.raises(DocumentError) as caught:
        load_settings(written(tmp_path, f"variants:\n{line}\n"))
    assert (caught.value.line, caught.value.column) == (2, line.index(blamed) + 1)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("aliases: {b: [c]}", ["alias `b` names unknown variant `c`", "known: a"]),
        ("aliases: {a: [a]}", ["`a` names more than one variant or alias"]),
        ("aliases: {auto: [a]}", ["`auto` is reserved"]),
        ("policy: {fallback: [z]}", ["policy.fallback names unknown variant `z`"]),
        (
            "policy: {priorities: {fast: {speed: 1}}}",
            ["unknown hint `fast`", "known: speed, cost, accuracy, balanced"],
        ),
    ],
)
def test_names_that_lead_nowhere_are_refused(tmp_path: Path, extra: str, words: list[str]) -> None:
    with pytest.raises(DocumentError) as caught:
        load_settings(written(tmp_path, f"variants:\n  - {VARIANT}\n{extra}\n"))
    for word in words:
        assert word in str(caught.value)


def test_two_variants_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="`a` names more than one"):
        load_settings(written(tmp_path, f"variants:\n  - {VARIANT}\n  - {VARIANT}\n"))


def test_text_that_is_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"trilemma\.yaml:2:1: the text is not UTF-8"):
        load_settings(written(tmp_path, b"server:\n  host: \xff\n"))


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_settings(tmp_path / "none.yaml")


def test_every_field_of_the_schema_is_described() -> None:
    schema = settings_schema()
    bare = [
        f"{name}.{key}"
        for name, component in schema["$defs"].items()
        for key, value in component.get("properties", {}).items()
        if not value.get("description")
    ]
    assert bare == []
    assert {"Settings", "ServerSettings", "Variant", "Price", "Decoding", "Weights"} <= set(schema["$defs"])


def test_the_default_names_every_section() -> None:
    sections = set(settings_schema()["$defs"]["Settings"]["properties"])
    assert sections == {line.split(":")[0] for line in default_text().splitlines() if line[:1].isalpha()}


EMBEDDER = VARIANT.replace("name: a", "name: e").replace("}}", "}, capabilities: [embeddings]}")


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("cache: {embedder: a}", "cache.embedder names `a`, which cannot embed"),
        ("training: {reference: e}", "training.reference names `e`, which only embeds"),
        ("policy: {fallback: [a, e]}", "policy.fallback names `e`, which only embeds"),
    ],
)
def test_who_is_to_embed_can_and_who_only_embeds_is_not_to_generate(tmp_path: Path, section: str, says: str) -> None:
    text = f"variants:\n  - {VARIANT}\n  - {EMBEDDER}\n"
    assert load_settings(written(tmp_path, f"{text}cache: {{embedder: e}}\n")).cache.embedder == "e"
    with pytest.raises(DocumentError, match=says):
        load_settings(written(tmp_path, f"{text}{section}\n"))
