"""Policies of other memories, each on a case small enough to be worked out by hand."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria import Memoria
from memoria.config import MemoriaConfig
from memoria.errors import ConfigError, MissingExtraError
from memoria.experiments.policies.activation import Activation, base_level
from memoria.experiments.policies.cofire_graph import CofireGraph
from memoria.experiments.policies.cofiring import Cofiring
from memoria.experiments.policies.finding import find_finding
from memoria.experiments.policies.generative_agents import GenerativeAgents
from memoria.experiments.policies.hopfield import BETA, ClassicalHopfield, ModernHopfield
from memoria.experiments.policies.keeping import KEEPERS, surplus
from memoria.experiments.policies.life import Cue, Items, Life, Needs
from memoria.experiments.policies.lucene import LuceneIndex
from memoria.experiments.policies.pagerank import pagerank
from memoria.experiments.policies.policy import SYSTEMS, Policy, PolicyMemory
from memoria.experiments.policies.relevance import Hybrid, LuceneWords, Words, nearness
from memoria.experiments.policies.scenes import communities, spread_two_ways
from memoria.experiments.policies.scoring import SCORERS
from memoria.experiments.policies.sparse_codes import (
    COLUMNS,
    UNITS,
    SparseCodes,
    sparse_codes,
    transitions_of,
)
from memoria.experiments.policies.word_graph import WordGraph
from memoria.experiments.reading import MEMORY_SETTINGS
from memoria.store import MemoryStore

HOUR = 3_600_000
EAST, NORTH, UP = np.eye(3, dtype=np.float32)
CUE = Cue(EAST[None])


def life_of(*steps: Items, needs: Needs | None = None, seed: int = 0) -> Life:
    life = Life(3, needs or Needs(), seed)
    for items in steps:
        life.read(items)
        life.end_step()
    return life


def one(vector: np.ndarray, text: str = "", hours: float | None = None) -> Items:
    time = None if hours is None else [round(hours * HOUR)]
    return Items(vector[None], [text], time)


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


class TestWhoIsKept:
    def test_the_last_the_least_recently_and_the_least_frequently_used(self) -> None:
        life = life_of(one(EAST), one(NORTH), one(UP), one(EAST))
        used = find_finding("used")
        used(life, ids(0, 1))
        life.end_step()
        used(life, ids(1))
        assert surplus(life, "last", 2).tolist() == [0, 1]
        assert surplus(life, "lru", 2).tolist() == [2, 3]
        assert surplus(life, "lfu", 1).tolist() == [0, 2, 3]
        assert surplus(life, "lfu", 4).tolist() == []

    def test_any_by_the_seed(self) -> None:
        gone = [
            surplus(life_of(Items(np.ones((50, 3))), seed=seed), "random", 20).tolist()
            for seed in (0, 0, 1)
        ]
        assert gone[0] == gone[1] != gone[2]
        assert len(gone[0]) == 30

    def test_act_r_sums_powers_of_the_times_since_each_use(self) -> None:
        life = life_of(one(EAST), one(NORTH))
        find_finding("used")(life, ids(0))  # after two steps
        life.end_step()
        # read 4, found 2 steps ago, counting this one; the other was read 3 ago
        expected = [math.log(4**-0.5 + 2**-0.5), math.log(3**-0.5)]
        assert base_level(life) == pytest.approx(expected, abs=1e-12)
        assert KEEPERS["actr"].values(life) == pytest.approx(expected, abs=1e-12)

    def test_memorybank_forgets_what_is_stronger_more_slowly(self) -> None:
        life = life_of(one(EAST, hours=0), one(NORTH, hours=0), one(UP, hours=24))
        find_finding("strength")(life, ids(0))
        life.read(one(UP, hours=72))
        # two days since it was found with S = 2, three with S = 1, two with S = 1, none
        retained = np.exp(KEEPERS["memorybank"].values(life))
        assert retained == pytest.approx(np.exp([-2 / 2, -3, -2, 0]), abs=1e-12)
        assert retained[0] > retained[2]  # equally long ago; the published code has less

    def test_hema_gives_its_bonus_to_what_was_found_lately(self) -> None:
        life = life_of(Items(np.ones((3, 3))))
        find_finding("used")(life, ids(1))
        life.read(Items(np.ones((100, 3))))
        weights = KEEPERS["hema"].values(life)
        aged = math.exp(-0.002 * 100)
        assert weights[:3] == pytest.approx([aged, aged + 0.5, aged], abs=1e-12)
        life.read(one(EAST))
        assert KEEPERS["hema"].values(life)[1] == pytest.approx(math.exp(-0.002 * 101), abs=1e-12)

    def test_a_lifespan_begins_at_fifty_and_grows_by_what_it_is_given(self) -> None:
        life = life_of(one(EAST), one(NORTH))
        find_finding("gain20")(life, ids(0))
        assert KEEPERS["lifespan"].values(life).tolist() == [70, 51]
        assert surplus(life, "lifespan", 1).tolist() == [1]

    def test_information_keeps_what_a_store_with_a_capacity_keeps(self, tmp_path: Path) -> None:
        words = "bee hive honey wax queen drone comb nectar pollen swarm".split()
        rng = np.random.default_rng(0)
        texts = [" ".join(rng.choice(words, rng.integers(1, 6))) for _ in range(40)]
        vectors = rng.normal(size=(40, 3)).astype(np.float32)
        memory = PolicyMemory(Policy.parse("neighbours+information"), 3)
        config = MemoriaConfig(hidden_dim=3, capacity=9, backbone="hash", wm_length=4)
        with MemoryStore.create(tmp_path / "store", config) as store:
            for first in range(0, 40, 4):
                step = slice(first, first + 4)
                memory.read(Items(vectors[step], texts[step]), 9)
                store.step(vectors[step], texts=texts[step])
                kept = sorted(store.ask(vectors[0], top=40).ids)
                assert memory.life.living.tolist() == kept
                store.recall(kept[:2], 20.0)
                memory.found(ids(*kept[:2]))


class TestHowCandidatesAreScored:
    def test_nearness_is_memorias_correlation(self) -> None:
        life = life_of(one(EAST), one(NORTH))
        assert nearness(life, CUE) == pytest.approx([0, -2], abs=1e-12)
        both = nearness(life, Cue(np.stack((EAST, NORTH))))
        assert both == pytest.approx([math.log((1 + math.exp(-2)) / 2)] * 2, abs=1e-12)

    def test_bm25_of_lucene(self) -> None:
        index = LuceneIndex()
        for text in ("The cat sat, and cats sit.", "A dog barked", "what is it?"):
            index.append(text)
        # tokens: cat sat cat sit | dog bark | what; mean length 7 / 3
        idf = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
        norm = 1.5 * (0.25 + 0.75 * 4 / (7 / 3))
        assert index.scores("The CATS!") == pytest.approx([idf * 2 / (2 + norm), 0, 0], abs=1e-12)
        twice = index.scores("cat cat")[0]
        assert twice == pytest.approx(2 * idf * 2 / (2 + norm), abs=1e-12)
        what = idf / (1 + 1.5 * (0.25 + 0.75 * 1 / (7 / 3)))
        assert index.scores("what")[2] == pytest.approx(what, abs=1e-12)  # no stop word there

    def test_lucenes_words_see_the_date(self) -> None:
        dated = Items(np.stack((EAST, EAST)), ["a cat", "a cat"], None, ["1 May", ""])
        life = life_of(dated)
        scores = LuceneWords()(life, Cue(EAST[None], "in May"))
        assert scores[0] > 0 == scores[1]

    def test_half_and_half(self) -> None:
        life = life_of(
            one(EAST, "a bee"), one(NORTH, "a cat"), one(-EAST, "a cat"), needs=Needs(words=True)
        )
        cue = Cue(EAST[None], "the cat")
        assert nearness(life, cue) == pytest.approx([0, -2, -4])
        assert Words()(life, cue)[0] == 0
        assert Hybrid(Words)(life, cue) == pytest.approx([0.5, 0.25 + 0.5, 0.5], abs=1e-6)

    def test_generative_agents_add_recency_importance_and_relevance(self) -> None:
        life = life_of(one(EAST, hours=0), one(NORTH, hours=10), one(EAST, hours=30))
        # importance: 1 at first, 1 for a new direction, 0 for the old one
        recency = 0.995 ** np.array([30, 20, 0])
        recency = (recency - recency[0]) / (recency[2] - recency[0])
        expected = recency + np.array([1, 1, 0]) + np.array([1, 0, 1])
        assert GenerativeAgents()(life, CUE) == pytest.approx(expected, abs=1e-9)
        find_finding("used")(life, ids(0))  # what is found is fresh
        assert GenerativeAgents()(life, CUE)[0] == pytest.approx(3, abs=1e-9)
        assert recency.argmax() == 2  # the published code has the oldest there

    def test_act_r_spreads_from_words_by_their_fan(self) -> None:
        life = life_of(
            Items(np.stack((EAST, EAST, EAST)), ["red bee", "red cat", "blue dog"]),
            needs=Needs(words=True),
        )
        scores = Activation()(life, Cue(EAST[None], "red bee?"))
        base, most = math.log(2**-0.5), 1 + math.log(3)
        shared = (most - math.log(2)) / 2
        expected = [base + shared + most / 2, base + shared, base]
        assert scores == pytest.approx(expected, abs=1e-12)

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 10_000), st.integers(2, 12))
    def test_pagerank_is_that_of_networkx(self, seed: int, count: int) -> None:
        rng = np.random.default_rng(seed)
        weights = rng.random((count, count)) * (rng.random((count, count)) < 0.4)
        weights = np.triu(weights, 1) + np.triu(weights, 1).T
        reset = rng.random(count) * (rng.random(count) < 0.5)
        reset[0] += 0.1
        found = pagerank(lambda x: x @ weights, weights.sum(1), reset, 0.5)
        graph = networkx.from_numpy_array(weights)
        personal = dict(enumerate(reset.tolist()))
        known = networkx.pagerank(graph, 0.5, personal, tol=1e-14, max_iter=1000)
        assert found == pytest.approx([known[at] for at in range(count)], abs=1e-8)

    def test_words_lead_to_what_shares_none_with_the_cue(self) -> None:
        texts = ["Ann keeps bees", "Bob likes Ann", "Bob paints boats"] + ["rain"] * 40
        life = life_of(Items(np.tile(UP, (43, 1)), texts), needs=Needs(words=True))
        scores = WordGraph()(life, Cue(EAST[None], "Ann?"))
        assert scores[1] > scores[2] > scores[3] == 0  # by Ann, then by Bob, never
        assert scores[0] > scores[2]  # "bees" and "boats" stand in one item each: no nodes

    def test_the_word_graph_as_networkx_has_it(self) -> None:
        life = life_of(
            Items(np.stack((EAST, NORTH, UP)), ["red bee", "red bee cat", "cat"]),
            needs=Needs(words=True),
        )
        found = WordGraph()(life, Cue(EAST[None], "a bee"))
        graph = networkx.Graph()
        idf = math.log(3 / 2)
        for item, words in enumerate((("red", "bee"), ("red", "bee", "cat"), ("cat",))):
            graph.add_weighted_edges_from((item, word, idf) for word in words)
        known = networkx.pagerank(graph, 0.5, {"bee": 1, 0: 0.05}, tol=1e-14)
        assert found == pytest.approx([known[item] for item in range(3)], abs=1e-8)

    def test_scenes_give_to_their_items_and_items_to_their_scene(self) -> None:
        vectors = np.stack((EAST, NORTH, UP)).astype(float)
        items, scene = np.array([1.0, 0.0, 0.0]), np.array([0, 0, 1])
        centroid = math.sqrt(0.5)  # of the cue with the middle of east and north
        lifted = 0.5 * (centroid + 0.5 * 1)
        expected = [1 + lifted, lifted, 0]
        found = spread_two_ways(items, scene, vectors, EAST[None].astype(float))
        assert found == pytest.approx(expected, abs=1e-12)

    def test_a_round_of_the_modern_network_weighs_items_by_their_likeness(self) -> None:
        life = life_of(one(EAST), one(NORTH))
        asked = np.array([[0.8, 0.6, 0]], np.float32)
        weights = np.exp(BETA * np.array([0.8, 0.6]))
        expected = weights / np.linalg.norm(weights)
        assert ModernHopfield()(life, Cue(asked)) == pytest.approx(expected, abs=1e-6)

    def test_hopfield_networks_complete_a_spoilt_cue(self) -> None:
        vectors = np.random.default_rng(0).normal(size=(300, 96)).astype(np.float32)
        spoilt = vectors.copy()
        spoilt[:, ::2] = 0  # half of what there was

        def completed(network: type[ModernHopfield] | type[ClassicalHopfield], held: int) -> float:
            life = Life(96, Needs())
            life.read(Items(vectors[:held]))
            return float(
                np.mean([network()(life, Cue(spoilt[[at]]))[at] for at in range(min(held, 20))])
            )

        assert completed(ModernHopfield, 300) > 0.9  # the cue itself has .7
        assert completed(ClassicalHopfield, 4) > 0.95
        assert completed(ClassicalHopfield, 60) < 0.8  # beyond .138 D

    def test_codes_of_what_is_alike_share_units(self) -> None:
        draw = np.random.default_rng(0)
        vector = draw.normal(size=(1, 64))
        near, far = vector + 0.3 * draw.normal(size=(1, 64)), draw.normal(size=(1, 64))
        codes = sparse_codes(np.concatenate((vector, near, far)))
        assert codes.shape == (3, COLUMNS)
        assert set(np.unique(codes)) <= set(range(UNITS))
        assert (codes[0] == codes[1]).mean() > 0.5
        assert (codes[0] == codes[2]).mean() < 0.25
        life = Life(64, Needs())
        life.read(Items(np.concatenate((vector, near, far))))
        found = SparseCodes()(life, Cue(vector))
        assert found[0] == 1 > found[1] > found[2]

    def test_what_followed_once_is_expected_after_it(self) -> None:
        vectors = np.random.default_rng(0).normal(size=(40, 64))
        codes = sparse_codes(vectors)
        transitions = transitions_of(np.arange(40), codes)
        for at in range(39):
            expected = transitions.expected(codes[at], codes)
            assert expected.argmax() == at + 1
            assert expected[at + 1] == 1
            assert transitions.likely(codes[at], codes).argmax() == at + 1
        life = Life(64, Needs())
        life.read(Items(vectors))
        found = SparseCodes(following=True)(life, Cue(vectors[[5]]))
        alone = SparseCodes()(life, Cue(vectors[[5]]))
        lifted = found - alone
        assert lifted.argmax() == 6
        assert lifted[6] == pytest.approx(0.1)
        assert np.delete(lifted, 6).max() < 0.01

    def test_communities_are_those_of_the_graph(self) -> None:
        weights = np.zeros((6, 6))
        weights[:3, :3] = weights[3:, 3:] = 1
        weights[2, 3] = weights[3, 2] = 0.1
        np.fill_diagonal(weights, 0)
        found = communities(weights)
        assert len({*found[:3]}) == len({*found[3:]}) == 1
        assert found[0] != found[3]

    def test_co_fire_edges_count_steps_in_which_both_fired(self) -> None:
        cofiring = Cofiring(3)
        rng = np.random.default_rng(0)
        config = MemoriaConfig.preset("keep", hidden_dim=3, lanes=1)
        memory = Memoria(**{name: getattr(config, name) for name in MEMORY_SETTINGS})
        for _ in range(30):
            data = rng.normal(size=(4, 3)).astype(np.float32)
            cofiring.step(data)
            memory.add_working_memory(torch.from_numpy(data)[None])
            _, indices = memory.remind()
            memory.adjust_lifespan_and_memories(indices, torch.zeros(indices.shape))
        counts = memory.engrams.induce_counts[0].numpy().astype(float)
        fires = np.sqrt(counts.diagonal())
        expected = counts / fires[:, None] / fires[None]
        np.fill_diagonal(expected, 0)
        living = np.arange(120)
        every = cofiring.matrix("all", living)
        assert every == pytest.approx(expected, abs=1e-9)
        together = cofiring.matrix("together", living)
        assert together.sum() == 120 * 3
        assert together[0].tolist() == [0, 1, 1, 1] + [0] * 116
        reminded = cofiring.matrix("reminded", living)
        assert ((every - reminded) * fires[:, None] * fires[None]).sum() == pytest.approx(360)
        drawn = cofiring.matrix("random", living)
        assert (drawn == drawn.T).all()
        assert (drawn > 0).sum() == (every > 0).sum()
        some = np.array([3, 4, 50])
        assert cofiring.matrix("together", some).tolist() == [[0.0] * 3] * 3

    def test_the_co_fire_graph_lifts_what_was_read_together(self) -> None:
        life = life_of(
            Items(np.stack((EAST, UP))),
            Items(np.stack((NORTH, -UP))),
            needs=Needs(words=True, cofiring=True),
        )
        plain = nearness(life, CUE)
        assert plain[1] == plain[2] == plain[3]
        scores = CofireGraph("together")(life, CUE)
        assert scores[1] > scores[2]  # it stood beside the best

    @pytest.mark.parametrize("name", SCORERS)
    def test_every_scorer_scores_the_living_alone_and_finds_the_same_again(self, name: str) -> None:
        texts = ["the bee flew", "a cat sat", "bees make honey", "boats sail", "honey is sweet"]
        vectors = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
        memory = PolicyMemory(Policy.parse(f"{name}+last+used"), 3)
        memory.read(Items(vectors[:3], texts[:3]))
        cue = Cue(vectors[2][None], "Who makes honey?")
        memory.rank(cue, 3)
        memory.read(Items(vectors[3:], texts[3:]), size=4)
        found, scores = memory.rank(cue, 10)
        assert sorted(found.tolist()) == [1, 2, 3, 4]
        assert (np.diff(scores) <= 0).all()
        assert memory.rank(cue, 10)[0].tolist() == found.tolist()
        assert memory.rank(cue, 2)[0].tolist() == found[:2].tolist()

    @pytest.mark.parametrize("name", SCORERS)
    def test_nothing_read_nothing_found(self, name: str) -> None:
        memory = PolicyMemory(Policy.parse(name), 3)
        assert memory.rank(Cue(EAST[None], "who?"), 3)[0].tolist() == []

    @pytest.mark.parametrize(
        ("name", "package", "extra"),
        [("bi-mem", "networkx", "viz"), ("bm25-lucene", "snowballstemmer", "train")],
    )
    def test_a_missing_package_is_named_with_its_extra(
        self, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
    ) -> None:
        monkeypatch.setitem(sys.modules, package, None)

        def ask() -> None:
            memory = PolicyMemory(Policy.parse(name), 3)
            memory.read(one(EAST, "a bee"))
            memory.rank(CUE, 1)

        with pytest.raises(MissingExtraError, match=extra):
            ask()


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("bm25", ("bm25", "last", "nothing")),
            ("neighbours+lru", ("neighbours", "lru", "used")),
            ("hybrid+information+gain50", ("hybrid", "information", "gain50")),
            ("memorybank", ("neighbours", "memorybank", "strength")),
            ("ask+actr", ("ask", "actr", "used")),
        ],
    )
    def test_three_choices(self, name: str, expected: tuple[str, str, str]) -> None:
        found = Policy.parse(name, ("ask",))
        assert (found.scored, found.kept, found.found) == expected

    def test_the_systems_are_such(self) -> None:
        for name in SYSTEMS.values():
            assert "+".join(vars(Policy.parse(name)).values()) == name

    @pytest.mark.parametrize("name", ["ask", "bm25+oldest", "bm25+lru+paid", "bm25+lru+used+x", ""])
    def test_others_are_refused(self, name: str) -> None:
        with pytest.raises(ConfigError, match="unknown"):
            Policy.parse(name)
