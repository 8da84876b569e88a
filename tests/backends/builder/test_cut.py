"""Taking layers out, on a model whose idle layers are known."""

import pytest

pytest.importorskip("transformers")

from backends.builder.cut import Block, Cut, cut_layers
from backends.builder.teacher import Conversation, Teacher, kl_divergence, pad, run_layers, to_batches, torch
from tests.tiny_llama import VOCABULARY, save_tiny_llama, tiny_text

IDLE = (4, 5)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return Teacher(save_tiny_llama(tmp_path_factory.mktemp("tiny"), idle_layers=IDLE))


@pytest.fixture(scope="module")
def text() -> list[Conversation]:
    return [Conversation(*pair) for pair in tiny_text(96, seed=1)]


@pytest.fixture(scope="module")
def cut(teacher: Teacher, text: list[Conversation]) -> Cut:
    return cut_layers(teacher, count=2, calibration=text[:64], held_out=text[64:])


def test_the_layers_that_do_least_are_taken_out(cut: Cut) -> None:
    assert cut.removed == [4, 5]


def test_what_is_left_is_the_other_layers_in_order_with_a_bridge_before_the_gap(cut: Cut, teacher: Teacher) -> None:
    left = cut.layers(teacher)
    assert left[:3] == teacher.layers[:3]
    assert left[4:] == teacher.layers[6:]
    assert left[3] is cut.bridge
    assert cut.bridge is not teacher.layers[3]


def _kl(teacher: Teacher, layers: list[torch.nn.Module], text: list[Conversation]) -> float:
    ids, _, answers = pad(text)
    rotary = teacher.rotary(ids.shape[1])
    whole = teacher.norm(run_layers(teacher.layers, teacher.embed(ids), rotary))[answers]
    left = teacher.norm(run_layers(layers, teacher.embed(ids), rotary))[answers]
    return float(kl_divergence(teacher.head, whole, left)) / len(whole)


def test_the_bridge_brings_the_model_nearer_to_the_whole_one_than_plain_removal(
    cut: Cut, teacher: Teacher, text: list[Conversation]
) -> None:
    plain = [*teacher.layers[:4], *teacher.layers[6:]]
    assert _kl(teacher, cut.layers(teacher), text[64:]) < _kl(teacher, plain, text[64:])


def test_a_block_whose_work_is_linear_is_made_up_for_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    written, residual = torch.randn(2, 500, 16, generator=generator)
    wanted = torch.randn(16, 16, generator=generator)
    residual[0] *= 1000.0  # as at the first token of real models, which must not drown the others
    block = Block(16)
    for part in (slice(0, 300), slice(300, 500)):
        entering = residual[part] + written[part]
        block.add(written[part], entering, residual[part] + written[part] @ wanted)
    torch.testing.assert_close(block.solve().float(), wanted, rtol=0.01, atol=0.01)


def test_layer_by_layer_the_teacher_computes_what_the_library_does(
    teacher: Teacher, text: list[Conversation]
) -> None:
    ids, real, _ = pad(text[:8])
    ours = torch.nn.functional.linear(
        teacher.norm(run_layers(teacher.layers, teacher.embed(ids), teacher.rotary(ids.shape[1]))), teacher.head
    )
    for row, conversation in enumerate(text[:8]):
        tokens = torch.tensor([conversation.prompt + conversation.answer])
        torch.testing.assert_close(ours[row][real[row]], teacher.model(tokens).logits[0], rtol=1e-3, atol=1e-3)


def test_batches_keep_every_conversation_and_the_limit(text: list[Conversation]) -> None:
    batches = to_batches(text, tokens=100)
    assert sorted(map(id, text)) == sorted(id(one) for batch in batches for one in batch)
    assert all(len(batch) * max(one.length for one in batch) <= 100 for batch in batches)


def test_answer_positions_are_those_that_predict_the_answer() -> None:
    ids, real, answers = pad([Conversation([1, 2, 3], [4, 5]), Conversation([6], [7, 8, 9])])
    assert ids.tolist() == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 0]]
    assert real.tolist()[1] == [True, True, True, True, False]
    assert answers.tolist() == [[False, False, True, True, False], [True, True, True, False, False]]


def test_divergence_is_zero_from_itself_and_positive_from_another(teacher: Teacher) -> None:
    states = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    assert float(kl_divergence(teacher.head, states, states)) == pytest.approx(0.0, abs=1e-5)
    assert float(kl_divergence(teacher.head, states, -states)) > 1.0
    assert teacher.head.shape == (VOCABULARY, 64)
