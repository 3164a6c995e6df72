"""What every network with some kind of memory must do, whatever its memory is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.errors import ConfigError, InputError, ShapeError
from memoria.experiments.rivals import RIVALS, build_rival, matched_inner
from memoria.experiments.rivals.segment_model import RivalConfig, SegmentModel, parameter_count
from memoria.experiments.rivals.trunk import NoMemory

LENGTH, VOCABULARY = 12, 11
FORGETFUL = {"engram", "none"}  # nothing goes from segment to segment
REMEMBERING = sorted(set(RIVALS) - FORGETFUL)
every = pytest.mark.parametrize("name", sorted(RIVALS))
remembering = pytest.mark.parametrize("name", REMEMBERING)


def config(**changes: object) -> RivalConfig:
    sizes = {"vocab_size": VOCABULARY, "hidden": 32, "layers": 2, "heads": 4, "inner": 192}
    return RivalConfig(**{**sizes, "segment": LENGTH, "memory": 8, "seed": 3, **changes})


def made(name: str, **changes: Any) -> SegmentModel:
    if name.startswith("memoria"):  # from zero nothing is read before something is learned
        changes["settings"] = {"reader_zero": False, **changes.get("settings", {})}
    return build_rival(name, config(**changes)).eval()


def segments(count: int, lanes: int = 2, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (lanes, LENGTH)
    return [torch.randint(VOCABULARY, shape, generator=generator) for _ in range(count)]


@torch.no_grad()
def read(model: SegmentModel, parts: list[Tensor]) -> Tensor:
    """The logits of the last part."""
    for part in parts:
        logits = model(part).logits
    return logits


def changed(part: Tensor, lane: int, place: int) -> Tensor:
    other = part.clone()
    other[lane, place] = (other[lane, place] + 1) % VOCABULARY
    return other


@every
def test_shapes_and_normal_numbers(name: str) -> None:
    model = made(name)
    for part in segments(4):
        output = model(part)
        assert output.logits.shape == (2, LENGTH, VOCABULARY)
        assert output.hidden.shape == (2, LENGTH, 32)
        assert output.extra_loss.shape == ()
        assert torch.isfinite(output.logits).all()
        assert torch.isfinite(output.extra_loss)


@remembering
def test_the_first_segment_matters_to_later_ones(name: str) -> None:
    first, *later = segments(3)
    model = made(name)
    after = read(model, [first, *later])
    model.reset()
    assert not torch.equal(read(model, [changed(first, 0, LENGTH - 1), *later])[0], after[0])


@pytest.mark.parametrize("name", sorted(FORGETFUL))
def test_without_memory_it_does_not(name: str) -> None:
    first, second = segments(2)
    model = made(name)
    assert torch.equal(read(model, [first, second]), read(model, [changed(first, 0, 2), second]))


@every
def test_reset_forgets(name: str) -> None:
    *before, last = segments(4)
    model = made(name)
    fresh = read(model, [last])
    model.reset()
    read(model, before)
    model.reset()
    assert model.carried() == {}
    assert torch.equal(read(model, [last]), fresh)


@every
def test_after_reset_there_may_be_other_lanes(name: str) -> None:
    model = made(name)
    read(model, segments(2, lanes=2))
    model.reset()
    assert read(model, segments(2, lanes=3)).shape[0] == 3


@every
def test_lanes_do_not_influence_each_other(name: str) -> None:
    parts = segments(5)
    model = made(name)
    both = read(model, parts)
    model.reset()
    alone = read(model, [part[:1] for part in parts])
    torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-5)
    model.reset()
    disturbed = read(model, [changed(part, 1, 3) for part in parts])
    assert torch.equal(disturbed[0], both[0])


@every
def test_what_is_carried_goes_on_in_another_model_bit_for_bit(name: str) -> None:
    parts = segments(5)
    one, other = made(name), made(name)
    read(one, parts[:3])
    state = one.carried()
    assert all(isinstance(value, Tensor) for value in state.values())
    other.carry(state)
    after = read(one, parts[3:])
    assert torch.equal(read(other, parts[3:]), after)
    again = made(name)
    again.carry(state)  # what one did since has not changed it
    assert torch.equal(read(again, parts[3:]), after)


@every
def test_nothing_later_in_the_segment_is_seen(name: str) -> None:
    *before, last = segments(3)
    model = made(name)
    read(model, before)
    state = model.carried()
    logits = read(model, [last])
    for place in (1, LENGTH // 2, LENGTH - 1):
        model.carry(state)
        other = read(model, [changed(last, 0, place)])
        torch.testing.assert_close(other[0, :place], logits[0, :place], rtol=1e-5, atol=1e-5)
        assert not torch.equal(other[0, place], logits[0, place])


@every
def test_the_same_seed_gives_the_same_result(name: str) -> None:
    parts = segments(4)
    before = torch.random.get_rng_state()
    logits = read(made(name), parts)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(read(made(name), parts), logits)
    assert not torch.equal(read(made(name, seed=4), parts), logits)


@every
def test_every_parameter_learns(name: str) -> None:
    model = made(name, memory=16).train()  # of a single engram no query learns
    parts = segments(6)
    total = torch.zeros(())
    for number, part in enumerate(parts):
        if number < len(parts) - max(2, model.unroll):
            with torch.no_grad():
                model(part)
            continue
        output = model(part)
        loss = torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), part.flatten())
        total = total + loss + output.extra_loss
    total.backward()
    model.detach()
    idle = [key for key, one in model.named_parameters() if one.grad is None or not one.grad.any()]
    assert idle == []
    model(parts[0]).logits.sum().backward()  # nothing of the old graph is reached


@every
def test_as_many_parameters_as_without_memory(name: str) -> None:
    wanted = parameter_count(made("none"))
    assert parameter_count(made(name)) == pytest.approx(wanted, rel=0.02)


@every
def test_padding_is_neither_seen_nor_remembered(name: str) -> None:
    first, second, third = segments(3)
    mask = torch.ones_like(first)
    mask[1, 7:] = 0
    model = made(name)
    with torch.no_grad():
        model(first, mask)
        plain = model(second, mask).logits
    after = read(model, [third])
    model.reset()
    with torch.no_grad():
        model(changed(first, 1, 9), mask)
        other = model(changed(second, 1, 10), mask).logits
    assert torch.equal(other[0], plain[0])
    assert torch.equal(other[1, :7], plain[1, :7])
    torch.testing.assert_close(read(model, [third]), after, rtol=1e-5, atol=1e-5)


@every
def test_it_learns_a_segment_by_heart(name: str) -> None:
    model = made(name).train()
    part = segments(1)[0]
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(30):
        model.reset()
        logits = model(part).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@every
def test_the_budget_is_kept(name: str) -> None:
    model = made(name)
    size = model.memory_size()
    assert (size.attended > 0) == (name in REMEMBERING)
    assert size.attended <= 8
    read(model, segments(12))
    shapes = _shapes(model)
    read(model, segments(8, seed=1))
    assert (shapes != {}) == (name in REMEMBERING)
    if size.kept is not None and name != "memoria-stm":  # where engrams out of reach live on
        assert _shapes(model) == shapes


def _shapes(model: SegmentModel) -> dict[str, torch.Size]:
    """Of what is carried, but the record of what happened, which no layer reads."""
    kept = {key: one for key, one in model.carried().items() if not key.startswith("memory.log.")}
    return {key: one.shape for key, one in kept.items()}


@every
def test_bad_segments_are_refused(name: str) -> None:
    model = made(name)
    with pytest.raises(ShapeError, match=r"tokens: expected shape \[B, 1..12\]"):
        model(torch.zeros(2, LENGTH + 1, dtype=torch.int64))
    with pytest.raises(ShapeError):
        model(torch.zeros(LENGTH, dtype=torch.int64))
    with pytest.raises(InputError, match="not integers"):
        model(torch.zeros(2, LENGTH))
    with pytest.raises(ShapeError, match="attention_mask"):
        model(segments(1)[0], torch.ones(2, 3))


@every
def test_unknown_settings_are_named(name: str) -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        made(name, settings={"nonsense": 1})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 0}, "hidden = 0"),
        ({"heads": 5}, "multiple of 2 \\* heads"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"wrong": 1}, "no such setting"),
    ],
)
def test_bad_sizes_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**changes)


def test_an_unknown_rival_is_refused() -> None:
    with pytest.raises(ConfigError, match="model = 'nobody': unknown; choose one of none"):
        build_rival("nobody", config())


def test_the_plain_model_keeps_its_inner_width() -> None:
    assert made("none").config.inner == 192
    assert matched_inner(NoMemory, config()) == 192


def test_engrams_that_got_attention_live_longer() -> None:
    model = made("memoria", settings={"lifespan": 3.0, "alpha": 8.0})
    short = made("memoria", settings={"lifespan": 3.0, "alpha": 0.0})
    for part in segments(12):
        model(part)
        short(part)
    lived, faded = (one.memoria.engrams for one in (model, short))  # type: ignore[union-attr]
    assert faded.lifespan.max() <= 3
    assert lived.lifespan.max() > 3
    assert len(lived) > len(faded)


def test_a_small_query_scale_makes_the_engrams_of_a_segment_copies() -> None:
    def spread(scale: float) -> float:
        model = made("memoria", memory=32, settings={"query_scale": scale})
        read(model, segments(2))
        engrams = model.memoria.engrams.data  # type: ignore[union-attr]
        return float(engrams.std(1).mean() / engrams.std())

    assert spread(0.02) < 0.1 * spread(3.0)


@pytest.mark.parametrize(
    "name", ["rmt", "armt", "hmt", "bmojo", "mamba2", "titans", "gated-delta", "mesa"]
)
def test_gradients_flow_through_as_many_segments_as_said(name: str) -> None:
    def gradient(back: int, unroll: int) -> bool:
        model = made(name, settings={"unroll": unroll})
        seen = []
        model.embed.register_forward_hook(lambda *call: seen.append(call[2]))
        for part in segments(4):
            logits = model(part).logits
        wanted = torch.autograd.grad(logits.sum(), seen[3 - back], allow_unused=True)[0]
        return wanted is not None and bool(wanted.any())

    assert gradient(back=2, unroll=4)
    assert gradient(back=0, unroll=1)
    assert not gradient(back=1, unroll=1)
    assert made(name, settings={"unroll": 3}).unroll == 3
