"""Recall: what is asked, of whom, and what is counted."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.config import MemoriaConfig
from memoria.errors import ConfigError, InputError
from memoria.experiments import execute, find_experiment, inside, make_plan
from memoria.experiments.policies.policy import Policy
from memoria.experiments.reading import Passages, Stream, read_passages, streamed
from memoria.experiments.recall.measure import bins_at, checkpoints_of, half_life, live, overall
from memoria.experiments.recall.memories import MemoriaMemory, RivalMemory
from memoria.experiments.recall.noise import Noise, cues, parse_noise
from memoria.store import MemoryStore

torch.set_num_threads(1)

SMALL = MemoriaConfig(
    hidden_dim=12,
    wm_length=3,
    num_reminded_stm=2,
    stm_capacity=9,
    ltm_search_depth=3,
    initial_lifespan=6.0,
    num_final_ltms=4,
    rule="correlation:2",
)


def nearest(
    dimension: int,
    kept: str,
    reminded: int,
    sizes: list[int] | None = None,
    seed: int = 0,
    kind: type[RivalMemory] = RivalMemory,
) -> RivalMemory:
    return kind(Policy.parse(f"neighbours+{kept}"), dimension, reminded, sizes, seed)


def rows(count: int, dim: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.4, (count, dim)).astype(np.float32)


def told(count: int) -> Passages:
    return Passages(rows(count), [None] * count, None)


def lived(memory, vectors: np.ndarray, ask: bool = False) -> None:
    for step, data in enumerate(vectors):
        memory.step(data)
        if ask and step % 2:
            memory.remind(rows(3, vectors.shape[2], seed=step))


class TestMemoria:
    def test_it_is_the_store_of_the_same_settings(self, tmp_path: Path) -> None:
        stream = rows(90).reshape(30, 3, 12)
        memory = MemoriaMemory(SMALL)
        lived(memory, stream)
        asked = rows(40, seed=5)
        found = memory.remind(asked)
        with MemoryStore.create(tmp_path / "store", SMALL) as store:
            for data in stream:
                store.step(data)
            for cue, ids, scores in zip(asked, found.ids, found.scores, strict=True):
                answer = store.peek(cue[None])
                kept = answer.ids[0] >= 0
                pairs = zip(
                    answer.log_correlation[0, kept].tolist(),
                    answer.ids[0, kept].tolist(),
                    strict=True,
                )
                best = sorted(pairs, reverse=True)
                assert ids[ids >= 0].tolist() == [id_ for _, id_ in best]
                assert scores[ids >= 0] == pytest.approx([score for score, _ in best])
                assert np.isneginf(scores[ids < 0]).all()
            engrams = store.peek(asked[:1]).ids[0]
        assert set(engrams[engrams >= 0].tolist()) <= set(memory.alive().tolist())

    @pytest.mark.parametrize("variant", ["memoria", "memoria-worded", "memoria-full"])
    def test_asking_changes_nothing(self, variant: str) -> None:
        stream = rows(60).reshape(20, 3, 12)
        quiet, asked = MemoriaMemory(SMALL, variant), MemoriaMemory(SMALL, variant)
        lived(quiet, stream)
        lived(asked, stream, ask=True)
        cue = rows(7, seed=3)
        assert quiet.alive().tolist() == asked.alive().tolist()
        for one, other in zip(quiet.remind(cue), asked.remind(cue), strict=True):
            assert one.tolist() == other.tolist()

    def test_it_can_be_asked_before_it_has_read(self) -> None:
        found = MemoriaMemory(SMALL).remind(rows(2))
        assert (found.ids == -1).all()

    def test_an_unknown_variant(self) -> None:
        with pytest.raises(ConfigError, match="memoria-elephant"):
            MemoriaMemory(SMALL, "memoria-elephant")


class TestNearest:
    def test_the_unbounded_finds_everything_first(self) -> None:
        memory, vectors = nearest(12, "last", 5), rows(40)
        lived(memory, vectors.reshape(10, 4, 12))
        found = memory.remind(vectors)
        assert found.ids[:, 0].tolist() == list(range(40))
        distances = ((vectors[:, None] - vectors[None]) ** 2).sum(2)
        assert found.ids.tolist() == np.argsort(distances, axis=1, kind="stable")[:, :5].tolist()
        assert found.scores == pytest.approx(-np.sort(distances, axis=1)[:, :5], abs=1e-5)

    def test_first_in_first_out(self) -> None:
        memory = nearest(12, "last", 3, sizes=[3, 6, 6, 5])
        lived(memory, rows(12).reshape(4, 3, 12))
        assert memory.alive().tolist() == [7, 8, 9, 10, 11]

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 1000), st.integers(2, 9), st.integers(1, 4))
    def test_least_recently_used(self, seed: int, size: int, reminded: int) -> None:
        vectors = rows(24, dim=4, seed=seed).reshape(8, 3, 4)
        memory = nearest(4, "lru", reminded, sizes=[size] * 8)
        used: dict[int, int] = {}  # by id, in the order of ids
        flat = vectors.reshape(-1, 4)
        for step, data in enumerate(vectors):

            def score(one: int, cue: np.ndarray = data) -> float:
                return float(np.exp(-((cue - flat[one]) ** 2).sum(1)).mean())

            for one in sorted(used, key=score, reverse=True)[:reminded]:
                used[one] = step
            used |= {3 * step + at: step for at in range(3)}
            for one in sorted(used, key=lambda one: (used[one], one))[: max(0, len(used) - size)]:
                del used[one]
            memory.step(data)
            assert memory.alive().tolist() == sorted(used)

    def test_by_chance_repeats_with_its_seed(self) -> None:
        lives = []
        for seed in (0, 0, 1):
            memory = nearest(12, "random", 3, sizes=[9] * 20, seed=seed)
            lived(memory, rows(60).reshape(20, 3, 12), ask=seed == 0 and bool(lives))
            lives.append(memory.alive().tolist())
        assert lives[0] == lives[1] != lives[2]
        assert len(lives[0]) == 9

    def test_it_can_be_asked_before_it_has_read(self) -> None:
        assert (nearest(12, "last", 5).remind(rows(2)).ids == -1).all()


class TestCounting:
    @given(st.integers(1, 5000))
    def test_the_bins_hold_every_age_once(self, step: int) -> None:
        ages = [n for one in bins_at(step) for n in range(one.least, one.most + 1)]
        assert ages == list(range(step))

    def test_the_whole_is_a_mean_over_steps(self) -> None:
        bins = bins_at(6)  # 0, 1, 2-3, 4-5
        assert overall(np.array([1.0, 1.0, 0.5, 0.0]), bins) == pytest.approx(3 / 6)
        assert half_life(np.array([1.0, 1.0, 0.5, 0.0]), bins) == 4.5
        assert half_life(np.ones(4), bins) is None

    @given(st.integers(2, 500), st.integers(1, 40))
    def test_the_last_checkpoint_is_the_end(self, steps: int, count: int) -> None:
        found = checkpoints_of(steps, count)
        assert found[-1] == steps
        assert found == sorted(set(found))
        assert found[0] >= 1
        assert len(found) <= count

    def test_a_ceiling_a_window_and_nothing(self) -> None:
        passages = told(200)
        stream = Stream(np.arange(160).reshape(40, 4), np.arange(160, 200))
        size = 40  # the last ten steps

        def ask(memory, noise: str):
            answers = live(
                memory,
                passages,
                stream,
                checkpoints=[20, 40],
                noises=[parse_noise(noise)],
                probes=64,
                seed=0,
            )
            return list(answers)

        first, last = ask(nearest(12, "last", 3), "none")
        assert (first.checkpoint, last.checkpoint) == (20, 40)
        assert last.recall.tolist() == last.recall_at_1.tolist() == last.alive.tolist() == [1.0] * 7
        assert (last.remote, last.auc) == (1.0, 1.0)
        window = ask(nearest(12, "last", 3, sizes=[size] * 40), "none")[1]
        assert window.kept == size
        assert window.alive.tolist()[:4] == [1.0] * 4  # up to 7 steps ago
        assert window.alive.tolist()[5:] == [0.0, 0.0]  # 16 and more
        assert window.recall.tolist() == window.alive.tolist()
        assert window.numbers()["recall"] == pytest.approx(0.25, abs=0.03)
        assert window.remote == 0.0
        spoilt = ask(nearest(12, "last", 3), "vector:50")[1]
        assert spoilt.recall.mean() < 0.2
        assert spoilt.auc == pytest.approx(0.5, abs=0.15)

    def test_every_memory_gets_the_same_cues(self) -> None:
        passages = told(100)
        stream = Stream(np.arange(80).reshape(20, 4), np.arange(80, 100))

        class Listener(RivalMemory):
            heard: list[np.ndarray]

            def remind(self, cues: np.ndarray):
                self.heard.append(cues)
                return super().remind(cues)

        heard = []
        for sizes in (None, [8] * 20):
            memory = nearest(12, "last", 3, sizes, kind=Listener)
            memory.heard = []
            noises = [parse_noise("none"), parse_noise("vector:1")]
            list(
                live(
                    memory, passages, stream, checkpoints=[10, 20], noises=noises, probes=6, seed=3
                )
            )
            heard.append(np.concatenate(memory.heard))
        assert (heard[0] == heard[1]).all()

    def test_taken_up_again_it_asks_the_rest_alike(self) -> None:
        passages = told(100)
        stream = Stream(np.arange(80).reshape(20, 4), np.arange(80, 100))
        settings = {
            "checkpoints": [5, 10, 20],
            "noises": [parse_noise("vector:0.5")],
            "probes": 8,
            "seed": 1,
        }
        whole = [one.document() for one in live(MemoriaMemory(SMALL), passages, stream, **settings)]
        rest = [
            one.document()
            for one in live(MemoriaMemory(SMALL), passages, stream, done=5, **settings)
        ]
        assert whole[1:] == rest


class TestReading:
    def test_the_help_of_python_is_text_enough(self) -> None:
        passages = read_passages([])
        assert len(passages) > 1000
        assert passages.vectors.shape == (len(passages), 384)
        assert len(np.unique(passages.vectors, axis=0)) == len(passages)

    def test_a_folder_of_texts_and_an_array(self, tmp_path: Path) -> None:
        (tmp_path / "b.txt").write_text("The cat sat. The dog ran.\n")
        (tmp_path / "a.md").write_text("It rained. The cat sat.\n")
        (tmp_path / "c.bin").write_bytes(b"\0")
        passages = read_passages([str(tmp_path)])
        assert list(passages.texts) == ["It rained.", "The cat sat.", "The dog ran."]
        np.save(tmp_path / "rows.npy", np.eye(5, 9, dtype=np.float32))
        alone = read_passages([str(tmp_path / "rows.npy")], backbone="array")
        assert (alone.vectors == np.eye(5, 9)).all()
        assert alone.backbone is None

    @pytest.mark.parametrize("name", ["-", "nowhere.txt", "empty"])
    def test_what_cannot_be_read(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError):
            read_passages([name if name == "-" else str(tmp_path / name)])

    @given(
        st.integers(30, 300),
        st.integers(1, 5),
        st.integers(1, 50),
        st.integers(0, 5),
        st.floats(0.01, 0.4),
    )
    @settings(max_examples=50, deadline=None)
    def test_a_stream_keeps_chapters_together(
        self, count: int, width: int, chapter: int, seed: int, unseen: float
    ) -> None:
        found = streamed(
            told(count), width=width, steps=None, chapter=chapter, unseen=unseen, seed=seed
        )
        read = found.read.ravel()
        assert len(np.unique(read)) == len(read)
        assert not np.isin(found.unseen, read).any()
        assert len(found.unseen) == max(1, round(unseen * count))
        assert len(read) + len(found.unseen) > count - width
        kept = np.setdiff1d(np.arange(count), found.unseen)
        place = np.searchsorted(kept, read)  # chapters are cut from what is read
        parted = np.flatnonzero(np.diff(place) != 1)
        assert ((place[parted] + 1) % chapter == 0).sum() >= len(parted) - 1

    def test_another_seed_another_order(self) -> None:
        one, again, other = (
            streamed(told(100), width=2, steps=20, chapter=5, unseen=0.1, seed=seed)
            for seed in (0, 0, 1)
        )
        assert (one.read == again.read).all()
        assert (one.read != other.read).any()
        assert one.read.shape == (20, 2)

    def test_too_little_to_read(self) -> None:
        with pytest.raises(InputError, match="make 4 steps of 4, not 5"):
            streamed(told(20), width=4, steps=5, chapter=3, unseen=0.1, seed=0)


class TestNoise:
    @given(st.sampled_from(["none", "words:0.25", "words:1", "vector:0", "vector:2.5"]))
    def test_its_name_says_it_all(self, name: str) -> None:
        assert str(parse_noise(name)) == name

    @pytest.mark.parametrize(
        "name", ["", "words", "words:2", "words:-1", "vector:nan", "vector:inf", "letters:1"]
    )
    def test_what_is_no_noise(self, name: str) -> None:
        with pytest.raises(ConfigError, match="unknown"):
            parse_noise(name)

    def test_words_are_left_out_and_one_stays(self) -> None:
        class Words:
            """Counts, for each text, how often each of ten words stands there."""

            name, dimension, options = "words", 10, {}

            def encode(self, batch):
                return np.array(
                    [[text.split().count(str(n)) for n in range(10)] for text in batch],
                    dtype=np.float32,
                )

        text = " ".join(map(str, range(10)))
        passages = Passages(np.ones((1, 10), np.float32), [text], Words())
        rng = np.random.default_rng(0)
        chosen = np.zeros(400, dtype=np.int64)
        thin = cues(passages, chosen, Noise("words", 0.3), rng)
        assert thin.max() == 1
        assert thin.mean() == pytest.approx(0.7, abs=0.03)
        assert (cues(passages, chosen, Noise("words", 1.0), rng).sum(1) == 1).all()
        assert (cues(passages, chosen, Noise("words", 0.0), rng) == 1).all()

    def test_vectors_are_moved_by_their_own_length(self) -> None:
        passages = Passages(rows(50, 400) * 7, [None] * 50, None)
        chosen = np.arange(50)
        moved = cues(passages, chosen, Noise("vector", 0.5), np.random.default_rng(0))
        length = np.linalg.norm(passages.vectors, axis=1)
        away = np.linalg.norm(moved - passages.vectors, axis=1)
        assert away / length == pytest.approx(0.5, abs=0.1)
        assert moved.dtype == np.float32

    def test_arrays_have_no_words(self) -> None:
        with pytest.raises(InputError, match="no text"):
            cues(told(3), np.arange(2), Noise("words", 0.3), np.random.default_rng(0))


class TestRuns:
    SETTINGS: ClassVar = {
        "data": [],
        "steps": 40,
        "stm_capacity": 16,
        "num_reminded_stm": 4,
        "num_final_ltms": 4,
        "initial_lifespan": 8.0,
        "checkpoints": 2,
        "probes": 4,
        "seeds": [0],
        "noise": ["none", "vector:1"],
    }

    def test_every_model_ends_with_its_numbers_and_a_plot(self, tmp_path: Path) -> None:
        models = ["memoria", "memoria-worded", "knn-fifo", "knn-lru", "knn-random", "knn-unbounded"]
        plan = make_plan("recall", settings={**self.SETTINGS, "models": models})
        records = inside(plan.specs(tmp_path))
        assert [record.error for record in records] == [None] * len(models)
        found = {record.variant: record.metrics for record in records}
        sizes = {found[name]["kept"] for name in ("memoria", "knn-fifo", "knn-lru", "knn-random")}
        assert len(sizes) == 1
        assert found["knn-unbounded"]["kept"] == 160
        assert found["knn-unbounded"]["recall@none"] == 1.0
        for metrics in found.values():
            assert metrics["recall"] <= metrics["alive"]
            assert metrics["recall_at_1"] <= metrics["recall"]
            assert 0 <= metrics["recognition"] <= 1
        arrays = records[0].arrays()
        assert arrays["recall"].shape == arrays["alive"].shape == (2, 2, 7)
        assert arrays["checkpoints"].tolist() == [20, 40]
        assert np.isnan(arrays["recall"][0, :, -1]).all()  # no passage was as old by then
        drawn = find_experiment("recall").draw(records, tmp_path)
        assert [path.name for path in drawn] == ["recall.png"]
        assert drawn[0].read_bytes()[:4] == b"\x89PNG"
        assert find_experiment("recall").draw([], tmp_path) == []

    def test_policies_of_others_keep_as_many_and_are_asked_the_same(self, tmp_path: Path) -> None:
        models = ["hema", "generative-agents", "ppr-cofire"]
        settings = {**self.SETTINGS, "models": [*models, "bi-mem"], "budget": 40}
        records = inside(make_plan("recall", settings=settings).specs(tmp_path))
        assert [record.error for record in records] == [None] * len(records)
        for record in records:
            assert record.metrics["kept"] == 40
            assert record.metrics["recall"] <= record.metrics["alive"]
            assert record.metrics["recall"] > 0

    def test_stopped_and_taken_up_again_it_ends_with_the_same(self, tmp_path: Path) -> None:
        plan = make_plan("recall", settings={**self.SETTINGS, "models": ["memoria"]})
        whole = execute(plan.specs(tmp_path / "a")[0])
        spec, steps = plan.specs(tmp_path / "b")[0], []
        with pytest.raises(KeyboardInterrupt):
            execute(spec, lambda done, total: steps.append(done), lambda: steps[-1] == 30)
        assert (spec.path / "checkpoint.pt").is_file()
        again = execute(spec)
        assert again.metrics == whole.metrics
        assert list(again.rows()) == list(whole.rows())

    def test_a_budget_of_ones_own(self, tmp_path: Path) -> None:
        settings = {**self.SETTINGS, "models": ["knn-fifo"], "budget": 20}
        (record,) = inside(make_plan("recall", settings=settings).specs(tmp_path))
        assert record.metrics["kept"] == 20

    @pytest.mark.parametrize(
        ("setting", "value", "said"),
        [
            ("models", ["knn"], "'knn' is unknown"),
            ("models", ["bm25+lru"], "asks with words"),
            ("models", ["neighbours+oldest"], "'oldest': unknown"),
            ("models", ["neighbours+lru+paid"], "'paid': unknown"),
            ("noise", ["letters:1"], "words:P"),
            ("rule", "often", "rule"),
            ("probes", 0, "probes"),
            ("unseen", 1.0, "unseen"),
        ],
    )
    def test_settings_out_of_bounds(self, setting: str, value: object, said: str) -> None:
        with pytest.raises(ConfigError, match=said) as caught:
            make_plan("recall", settings={setting: value})
        assert "\n" not in str(caught.value)

    def test_both_presets_are_settings(self) -> None:
        assert find_experiment("recall").Config.preset("paper").wm_length == 50
        assert find_experiment("recall").Config.preset("small").seeds == [0, 1, 2]
