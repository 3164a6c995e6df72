"""Language modelling and classification: texts, tokens, streams, scores."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_tools import BERT, GPT2, SMALL, quiet
from torch import Tensor

from memoria.errors import ConfigError, InputError
from memoria.experiments import RunRecord, RunSpec, execute, make_plan
from memoria.experiments.classification.documents import Document, labelled_documents
from memoria.experiments.classification.experiment import ClassificationConfig
from memoria.experiments.classification.task import ClassificationTask
from memoria.experiments.lm.experiment import LMConfig
from memoria.experiments.lm.task import LMTask
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.operations import segment_operations
from memoria.experiments.texts import SPLITS, make_tokens, text_splits
from memoria.experiments.training import Processes
from memoria.timeline.history import HistoryManager

SIZE = {"hidden": 16, "inner": 128, "heads": 2, "layers": 1, "memory": 8, "device": "cpu"}
TINY = {
    **SIZE,
    "segment": 8,
    "batch": 2,
    "steps": 9,
    "validate_every": 4,
    "checkpoint_every": 3,
    "log_every": 1,
    "seeds": [0],
}
CPU = Processes(torch.device("cpu"))


def specs_of(name: str, folder: Path, **changes: Any) -> list[RunSpec]:
    return make_plan(name, "small", {**TINY, **changes}).specs(folder)


@pytest.fixture
def book(tmp_path: Path) -> str:
    path = tmp_path / "book.txt"
    path.write_text("".join(f"Line {n} of a book about cats.\n" for n in range(60)), "utf-8")
    return str(path)


class TestCorpora:
    def test_a_file_is_cut_at_lines(self, book: str) -> None:
        texts = text_splits(book)
        assert "".join(texts.values()) == Path(book).read_text("utf-8")
        assert all(text.startswith("Line") for text in texts.values())
        assert len(texts["training"]) > 10 * len(texts["test"])

    def test_a_folder_holds_the_splits(self, tmp_path: Path) -> None:
        for name in ("wiki.train.tokens", "wiki.valid.tokens", "test.txt"):
            (tmp_path / name).write_text(name)
        assert list(text_splits(str(tmp_path)).values()) == [
            "wiki.train.tokens",
            "wiki.valid.tokens",
            "test.txt",
        ]
        (tmp_path / "test.txt").unlink()
        with pytest.raises(InputError, match=r"no file test\*"):
            text_splits(str(tmp_path))

    def test_files_joined_by_commas(self, tmp_path: Path) -> None:
        lines = [f"line {number}\n" for number in range(10)]
        paths = [tmp_path / name for name in ("test.txt", "valid.txt", "more.txt")]
        for number, path in enumerate(paths):
            path.write_text("".join(lines[number:]))
        three = text_splits(",".join(map(str, paths)))
        assert [text[:6] for text in three.values()] == ["line 0", "line 1", "line 2"]
        two = text_splits(f"{paths[0]}, {paths[1]}")
        assert two["training"] == three["training"]
        assert two["validation"] + two["test"] == three["validation"]
        assert two["test"].startswith("line ")
        assert abs(len(two["validation"]) - 31) < 5
        for names, says in (("a,b", "'a': no such file"), (f"{paths[0]}," * 4, "5 files joined")):
            with pytest.raises(InputError, match=says):
                text_splits(names)

    def test_real_text_without_a_network(self) -> None:
        texts = text_splits("pydoc")
        assert len(texts["training"]) > 50_000
        assert texts == text_splits("pydoc")

    def test_what_is_not_there(self) -> None:
        with pytest.raises(InputError, match="no such file; known by name are pydoc, wikitext"):
            text_splits("nowhere.txt")

    def test_without_a_network_the_hub_is_one_line(self) -> None:
        with pytest.raises(InputError, match="files of your own: data=PATH") as caught:
            text_splits("wikitext-103")
        assert "\n" not in str(caught.value)


class TestTokens:
    def test_bytes(self) -> None:
        tokens = make_tokens("byte", "")
        assert tokens.size == 256
        assert bytes(tokens.encode("aé").tolist()) == "aé".encode()

    def test_characters_are_the_most_frequent_ones(self) -> None:
        tokens = make_tokens("char", "bbbaaac", most=3)
        assert tokens.size == 3
        assert tokens.encode("abc¿a").tolist() == [1, 2, 0, 0, 1]
        assert make_tokens("char", "").encode("x").tolist() == [0]

    def test_words_are_the_most_frequent_ones(self) -> None:
        tokens = make_tokens("word", "a b a\n\na b <unk> c\n", most=4)
        assert tokens.size == 4  # any other, a, the end of a line, b
        assert tokens.encode("b a\nz").tolist() == [3, 1, 2, 0]
        assert len(make_tokens("word", "").encode("")) == 0

    def test_a_given_tokenizer(self, tmp_path: Path) -> None:
        folder = tokenizer_folder(tmp_path)
        tokens = make_tokens(str(folder), "")
        text = "cat dog\n" * 200_000
        found = tokens.encode(text)
        assert (tokens.size, tokens.start, len(found)) == (6, 1, 400_000)
        assert set(found.tolist()) == {3, 4}
        with pytest.raises(ConfigError, match="tokenizer '/nowhere'"):
            make_tokens("/nowhere", "")


def tokenizer_folder(folder: Path) -> Path:
    """A tokenizer of six words, as a checkpoint has one."""
    import tokenizers
    import transformers

    words = ["[UNK]", "[CLS]", "[PAD]", "cat", "dog", "moon"]
    vocabulary = {word: number for number, word in enumerate(words)}
    fast = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    fast.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "pad_token": "[PAD]"}
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=fast, **names)
    made.save_pretrained(folder)
    return folder


class _Spy(torch.nn.Module):
    """In place of a network: what it was asked, and when it was emptied."""

    unroll = 1

    def __init__(self, vocab: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(vocab))
        self.seen: list[Any] = []

    def forward(self, tokens: Tensor) -> Any:
        self.seen.append(tokens.clone())
        logits = self.weight.expand(*tokens.shape, -1)
        return type("Output", (), {"logits": logits, "extra_loss": torch.zeros(())})

    def reset(self) -> None:
        self.seen.append("reset")

    def detach(self) -> None: ...

    def carried(self) -> dict[str, Tensor]:
        return {"kept": torch.ones(1)}

    def carry(self, state: Any) -> None:
        self.seen.append("carry")


ARTICLE = """<article id="{id}" published-at="2017-09-10" title="News &amp; more">
From <a href="x">here</a>: <p>Word {id} &#8212; one.</p><p>Two</p>
</article>"""


def news(folder: Path, count: int = 20) -> Path:
    """The two files of the SemEval task, as published."""
    ids = [f"{number:07}" for number in range(count)]
    texts = "".join(ARTICLE.format(id=one) for one in ids)
    head = '<?xml version="1.0" encoding="UTF-8"?><articles>'
    (folder / "articles-training.xml").write_text(f"{head}{texts}</articles>", "utf-8")
    labels = "".join(
        f'<article hyperpartisan="{"true" if number % 2 else "false"}" id="{one}" url="x"/>'
        for number, one in enumerate(ids)
    )
    (folder / "ground-truth-training.xml").write_text(f"{head}{labels}</articles>", "utf-8")
    return folder


class TestHyperpartisan:
    def test_the_published_files_are_read(self, tmp_path: Path) -> None:
        found = labelled_documents(str(news(tmp_path)), 0)
        assert {split: len(one) for split, one in found.items()} == {
            "training": 16,
            "validation": 2,
            "test": 2,
        }
        every = sorted(one for documents in found.values() for one in documents)
        assert every[0] == Document("From here : Word 0000000 \u2014 one. Two", "false")
        assert every[1].label == "true"

    @pytest.mark.parametrize(
        ("file", "old", "new", "says"),
        [
            ("articles-training", "<article ", "<!DOCTYPE x []><article ", "no XML"),
            ("articles-training", "<articles>", "<!DOCTYPE x []><articles>", "document type"),
            ("articles-training", "</articles>", "", "no XML: no element found"),
            ("articles-training", 'id="0000001"', 'id="0000000"', "stands there twice"),
            ("articles-training", 'id="0000001"', 'id="x"', "article x has no label"),
            ("ground-truth-training", 'hyperpartisan="true"', "", "hyperpartisan = ''"),
            ("ground-truth-training", ' id="0000000"', "", "an article has no id"),
        ],
    )
    def test_what_is_wrong_is_one_line(
        self, file: str, old: str, new: str, says: str, tmp_path: Path
    ) -> None:
        path = news(tmp_path) / f"{file}.xml"
        path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
        with pytest.raises(InputError, match=says) as caught:
            labelled_documents(str(tmp_path), 0)
        assert "\n" not in str(caught.value)

    def test_a_folder_without_them_says_what_it_needs(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"no file ground-truth\*.xml; it needs one articles"):
            labelled_documents(str(tmp_path), 0)


class TestStreams:
    def task(self, book: str, **changes: Any) -> LMTask:
        values = {**TINY, "models": ["none"], "data": book, **changes}
        task = LMTask(LMConfig.preset("small", **values), CPU)
        task.network = task.model = _Spy(256)  # type: ignore[assignment]
        return task

    def test_rows_are_contiguous_stretches(self, book: str) -> None:
        task = self.task(book)
        for step in range(5):
            task.learn(step)
        seen = [one for one in task.network.seen if not isinstance(one, str)]  # type: ignore
        rows = torch.cat(seen, 1).tolist()
        text = text_splits(book)["training"].encode()
        half = len(text) // 2
        assert [bytes(row) for row in rows] == [text[:40], text[half : half + 40]]

    def test_the_memory_is_emptied_when_due(self, book: str) -> None:
        task = self.task(book, reset_period=2)
        for step in range(4):
            task.learn(step)
        resets = [one == "reset" for one in task.network.seen if isinstance(one, str)]  # type: ignore
        kinds = ["R" if isinstance(one, str) else "s" for one in task.network.seen]  # type: ignore
        assert len(resets) == 2
        assert "".join(kinds) == "RssRss"

    def test_after_the_last_segment_the_text_begins_again(self, book: str) -> None:
        task = self.task(book, segments=3)
        windows = task._windows
        for step in (0, windows):
            task.learn(step)
        seen = task.network.seen  # type: ignore[union-attr]
        assert [isinstance(one, str) for one in seen] == [True, False, False, False] * 2
        assert torch.equal(seen[1], seen[5])

    def test_validation_leaves_training_where_it_was(self, book: str) -> None:
        task = self.task(book)
        sums = task.measure("validation")
        seen = task.network.seen  # type: ignore[union-attr]
        assert seen[0] == "reset"
        assert seen[-2:] == ["reset", "carry"]
        metrics = task.metrics(sums)
        assert metrics["perplexity"] == pytest.approx(256, rel=1e-4)
        assert metrics["bits_per_character"] == pytest.approx(8, rel=1e-4)

    def test_bits_are_per_character_not_per_byte(self, tmp_path: Path) -> None:
        path = tmp_path / "umlauts.txt"
        path.write_text("äöü\n" * 400, "utf-8")  # 7 bytes for 4 characters
        task = self.task(str(path))
        metrics = task.metrics(task.measure("test"))
        assert metrics["bits_per_character"] == pytest.approx(8 * 7 / 4, rel=1e-2)
        assert metrics["loss"] == pytest.approx(math.log(256), rel=1e-4)

    def test_too_short_a_text(self, tmp_path: Path) -> None:
        (tmp_path / "short.txt").write_text("short")
        with pytest.raises(InputError, match="take more text"):
            self.task(str(tmp_path / "short.txt"))


@pytest.mark.parametrize("model", ["memoria", "rmt"])
def test_a_stopped_language_model_ends_as_an_unbroken_one(
    model: str, book: str, tmp_path: Path
) -> None:
    """What the memory carries from step to step is in the checkpoint."""
    changes = {"models": [model], "data": book, "segments": 2, "steps": 12, "tokenizer": "char"}
    whole = execute(specs_of("lm", tmp_path / "whole", **changes)[0])
    spec = specs_of("lm", tmp_path / "broken", **changes)[0]
    answers = iter([False] * 10 + [True] * 2)
    with pytest.raises(KeyboardInterrupt):
        execute(spec, stopping=lambda: next(answers))
    again = execute(spec)
    assert list(again.rows()) == list(whole.rows())
    assert dict(again.metrics) == dict(whole.metrics)
    assert again.metrics["bits_per_character"] > 0


def test_a_run_ends_when_its_time_is_over_and_keeps_the_lives_of_its_engrams(
    book: str, tmp_path: Path
) -> None:
    """GPT-2 with memory from scratch, in half precision."""
    changes = {"models": ["memoria-gpt2"], "data": book, "tokenizer": "char", "histories": 2}
    limits = {"max_seconds": 1e-6, "precision": "bfloat16", "steps": 50}
    run = execute(specs_of("lm", tmp_path / "run", **changes, **limits)[0])
    assert run.status == "done"
    assert 1 <= run.metrics["steps"] < 50
    assert [row["kind"] for row in run.rows()][-1] == "validation"
    assert run.document["network"]["inner"] == run.metrics["inner"]
    assert run.document["peak_bytes"] > 10**7
    lives = [HistoryManager.load(run.path / f"history-{row}.npz") for row in range(2)]
    assert all(life.timestep > 1 for life in lives)
    plan = make_plan("engrams", "small", {"store": [str(run.path / "history-1.npz")]})
    assert execute(plan.specs(tmp_path / "lives")[0]).metrics["engrams"] > 1


def test_with_equal_compute_a_costlier_network_takes_fewer_steps(book: str, tmp_path: Path) -> None:
    changes = {"models": ["xl", "none"], "data": book, "equal_compute": True, "held_out": 2}
    xl, plain = (execute(spec) for spec in specs_of("lm", tmp_path / "run", **changes))
    assert plain.metrics["steps"] == TINY["steps"]
    assert 1 <= xl.metrics["steps"] < plain.metrics["steps"]
    assert xl.document["network"]["steps"] == xl.metrics["steps"]
    assert next(xl.rows())["steps"] == xl.metrics["steps"]
    with pytest.raises(ConfigError, match="equal_compute: only networks from scratch"):
        LMConfig(models=["gpt2"], pretrained="weights", equal_compute=True)


def test_contents_tell_what_a_memory_is_worth(tmp_path: Path) -> None:
    letters = np.random.default_rng(0).integers(97, 123, (200, 30), dtype=np.uint8)
    (tmp_path / "book.txt").write_bytes(b"".join(row.tobytes() + b"\n" for row in letters))
    changes = {"models": ["xl", "none", "memoria"], "data": str(tmp_path / "book.txt")}
    changes |= {"contents": True, "held_out": 6}
    specs = specs_of("lm", tmp_path / "run", **changes)
    xl, plain, memoria = ({**execute(spec).metrics} for spec in specs)
    assert plain["loss"] == plain["loss_other"] == plain["loss_emptied"]
    for found in (xl, memoria):
        assert len({found[name] for name in ("loss", "loss_other", "loss_emptied")}) == 3
    config = LMConfig.preset("small", **{**TINY, **changes, "models": ["xl"]})
    task = LMTask(config.single("xl", 0), CPU)
    task._streams["test"] = task._streams["test"][:1].repeat(config.batch, 1)
    task.model.eval()
    with torch.no_grad():
        alike = task.metrics(task.measure("test"))
    assert alike["loss_other"] == pytest.approx(alike["loss"], rel=1e-6) != alike["loss_emptied"]
    with pytest.raises(ConfigError, match="contents: a batch of one has no other row"):
        LMConfig(models=["xl"], batch=1, contents=True)


def test_operations_are_those_of_matrix_products() -> None:
    """Checked by hand: with one layer, D = 16, F = 128, S = 8, 40 tokens."""
    sizes: dict[str, Any] = {"hidden": 16, "heads": 2, "layers": 1, "inner": 128, "memory": 8}
    plain = build_rival("none", RivalConfig(vocab_size=40, segment=8, **sizes))
    weights = 4 * 16 * 16 + 2 * 16 * 128 + 16 * 40
    attention = 2 * 8 * 16  # scores and what they weigh, for one of the S positions
    assert segment_operations(plain) == 3 * 2 * 8 * (weights + attention)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["wikitext-150", "wikitext-50", "pg19", "enwik8", "gpt2"])
def test_presets_of_the_papers_size_train(preset: str, tmp_path: Path) -> None:
    """A few steps of them on a text of this test, by the shell's own path."""
    words = tokenizer_folder(tmp_path / "words")
    text = tmp_path / "text.txt"
    text.write_text("cat dog moon cat cat dog\n" * 4000)
    changes = {"data": str(text), "batch": 1, "max_seconds": 20.0, "seeds": [0], "device": "cpu"}
    if LMConfig.presets[preset]["tokenizer"] == "gpt2":
        changes["tokenizer"] = str(words)
    plan = make_plan("lm", preset, {**changes, "held_out": 2, "log_every": 1})
    run = execute(plan.specs(tmp_path / "runs")[0])
    assert run.status == "done"
    assert run.metrics["parameters"] > 10_000_000
    losses = [row["loss"] for row in run.rows() if row["kind"] == "training"]
    assert len(losses) > 1
    assert all(math.isfinite(loss) for loss in losses)


def test_enwik8_is_cut_where_it_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memoria.experiments.texts._ENWIK8", (8, 12, 14))
    whole = "aä\nöbü\ncö\n".encode()
    assert len(whole) == 14  # halves of two characters are cut
    (tmp_path / "enwik8").write_bytes(whole)
    splits = text_splits(str(tmp_path / "enwik8"))
    tokens = make_tokens("byte", "")
    assert [bytes(tokens.encode(splits[name]).astype(np.uint8)) for name in SPLITS] == [
        whole[:8],
        whole[8:12],
        whole[12:],
    ]


@pytest.mark.parametrize("model", ["memoria-gpt2", "gpt2"])
def test_a_pretrained_gpt2_goes_on_learning(model: str, tmp_path: Path) -> None:
    """And goes on from a checkpoint with what its memory held."""
    import transformers

    folder = tokenizer_folder(tmp_path / "weights")
    with quiet(), torch.random.fork_rng():
        config = transformers.GPT2Config(**{**GPT2, "vocab_size": 6})
        transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    (tmp_path / "text.txt").write_text("cat dog moon cat cat dog\n" * 100)
    changes = {
        "models": [model],
        "pretrained": str(folder),
        "data": str(tmp_path / "text.txt"),
        "settings": {"memoria-gpt2": SMALL},
        "learning_rate": 0.01,
        "steps": 8,
    }
    whole = execute(specs_of("lm", tmp_path / "whole", **changes)[0])
    spec = specs_of("lm", tmp_path / "broken", **changes)[0]
    answers = iter([False] * 8 + [True] * 2)
    with pytest.raises(KeyboardInterrupt):
        execute(spec, stopping=lambda: next(answers))
    again = execute(spec)
    assert list(again.rows()) == list(whole.rows())
    assert dict(again.metrics) == dict(whole.metrics)
    losses = [row["loss"] for row in whole.rows() if row["kind"] == "training"]
    assert losses[-1] < losses[0]


def lines(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def pets(count: int = 20) -> list[dict[str, Any]]:
    """Whether it is about cats is said in the first words alone."""
    names = ("cat", "dog")
    return [
        {"text": f"{names[n % 2]} {n}" + " moon" * (2 + n % 3), "label": names[n % 2]}
        for n in range(count)
    ]


class TestDocuments:
    def test_splits_keep_the_shares_of_labels(self, tmp_path: Path) -> None:
        path = lines(tmp_path / "pets.jsonl", pets(40))
        found = labelled_documents(path, 0)
        assert [len(one) for one in found.values()] == [32, 4, 4]
        assert [sum(one.label == "cat" for one in part) for part in found.values()] == [16, 2, 2]
        assert found == labelled_documents(path, 0) != labelled_documents(path, 1)

    def test_lines_may_say_their_split(self, tmp_path: Path) -> None:
        rows = [
            {"text": "a", "label": 1, "split": "train"},
            {"text": "b", "label": 0, "split": "train"},
            {"text": "c", "label": 1, "split": "dev"},
            {"text": "d", "label": 0, "split": "test"},
        ]
        found = labelled_documents(lines(tmp_path / "x.jsonl", rows), 0)
        assert found["training"] == [Document("a", "1"), Document("b", "0")]
        assert (found["validation"], found["test"]) == ([Document("c", "1")], [Document("d", "0")])

    def test_without_a_network(self) -> None:
        found = labelled_documents("pydoc", 0)
        assert {one.label for one in found["test"]} == {"statements", "values"}
        assert len(found["training"]) > 100

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("{", "line 1: not JSON"),
            ("[]", "line 1: not a JSON object"),
            ('{"text": "a"}', "line 1: no text and label"),
            ('{"text": "a", "label": "x", "split": "later"}', "split = 'later'"),
            ('{"text": "a", "label": "x"}\n' * 30, "one label alone, 'x'"),
            ('{"text": "a", "label": "x"}', "no document for"),
            ("", "no document for"),
            (
                '{"text": "a", "label": "x"}\n{"text": "a", "label": "x", "split": "train"}',
                "some lines have a split",
            ),
        ],
    )
    def test_what_is_wrong_is_one_line(self, text: str, says: str, tmp_path: Path) -> None:
        (tmp_path / "bad.jsonl").write_text(text)
        with pytest.raises(InputError) as caught:
            labelled_documents(str(tmp_path / "bad.jsonl"), 0)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


class TestClassification:
    def task(self, path: str, **changes: Any) -> ClassificationTask:
        values = {**TINY, "models": ["memoria"], "data": path, **changes}
        config = ClassificationConfig.preset("small", **values)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return ClassificationTask(config, CPU)

    def test_neighbours_in_a_batch_change_nothing(self, tmp_path: Path) -> None:
        rows = [{"text": "ab" * (1 + 3 * n), "label": n % 2} for n in range(30)]
        path = lines(tmp_path / "docs.jsonl", rows)
        for aggregate in ("last", "mean"):
            task = self.task(path, aggregate=aggregate)
            task.model.eval()
            with torch.no_grad():
                together = task._read(*task._batch("training", range(6))[:2])
                alone = torch.cat(
                    [task._read(*task._batch("training", [at])[:2]) for at in range(6)]
                )
            torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)

    def test_the_scores(self, tmp_path: Path) -> None:
        task = self.task(lines(tmp_path / "pets.jsonl", pets()))
        sums = {"0 0": 6.0, "0 1": 2.0, "1 0": 1.0, "1 1": 1.0, "loss": 5.0, "documents": 10.0}
        metrics = task.metrics(sums)
        assert metrics["accuracy"] == 0.7
        assert metrics["macro_f1"] == pytest.approx((12 / 15 + 2 / 5) / 2)
        assert metrics["loss"] == 0.5

    def test_memory_tells_what_the_last_segment_cannot(self, tmp_path: Path) -> None:
        """The first of three segments says what it is; it has to be remembered."""
        rows = [
            {"text": f"{'aaaaaaaa' if n % 2 else 'bbbbbbbb'}{'-' * 16}", "label": n % 2}
            for n in range(60)
        ]
        path = lines(tmp_path / "docs.jsonl", rows)
        changes = {"data": path, "steps": 60, "batch": 8, "learning_rate": 0.01, "init_std": 0.2}
        specs = specs_of("classification", tmp_path, models=["memoria", "none"], **changes)
        memoria, none = (execute(spec).metrics["accuracy"] for spec in specs)
        assert memoria == 1.0
        assert none <= 0.75

    def test_an_empty_document_is_read(self, tmp_path: Path) -> None:
        rows = [{"text": "" if n == 3 else "abc", "label": n % 2} for n in range(30)]
        record = execute(
            specs_of(
                "classification",
                tmp_path / "out",
                models=["memoria"],
                data=lines(tmp_path / "docs.jsonl", rows),
            )[0]
        )
        assert record.status == "done"

    @pytest.mark.parametrize("model", ["memoria-roberta", "roberta"])
    def test_pretrained_weights(self, model: str, tmp_path: Path) -> None:
        import transformers

        folder = tokenizer_folder(tmp_path / "weights")
        config = transformers.RobertaConfig(**{**BERT, "vocab_size": 6})
        with quiet(), torch.random.fork_rng():
            transformers.RobertaModel(config).save_pretrained(folder)
        settings = {"memoria-roberta": {"memory_layer": 1, "num_memories": 2}}
        record = execute(
            specs_of(
                "classification",
                tmp_path / "out",
                models=[model],
                pretrained=str(folder),
                settings=settings,
                data=lines(tmp_path / "docs.jsonl", pets()),
                steps=3,
            )[0]
        )
        assert isinstance(record, RunRecord)
        assert 0 <= record.metrics["macro_f1"] <= 1
        assert np.isfinite(record.metrics["loss"])

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"models": ["roberta"]}, "needs pretrained=PATH_OR_NAME"),
            ({"models": ["xl"], "pretrained": "x"}, "'xl' takes no pretrained weights"),
        ],
    )
    def test_pretrained_and_models_belong_together(
        self, changes: dict[str, Any], says: str
    ) -> None:
        with pytest.raises(ConfigError, match=says):
            ClassificationConfig(**{**TINY, **changes})

    def test_weights_that_are_not_there(self, tmp_path: Path) -> None:
        path = lines(tmp_path / "docs.jsonl", pets())
        with pytest.raises(ConfigError, match="'/nowhere'"):
            execute(
                specs_of(
                    "classification",
                    tmp_path / "out",
                    models=["bert"],
                    pretrained="/nowhere",
                    data=path,
                )[0]
            )
