"""What every verb prints with --json: the one place where keys are told.

``python -m memoria_cli.documents FOLDER`` writes a JSON Schema a verb, and a page about them all.
A key means the same wherever it stands, so `KEYS` says it once; `DOCUMENTS` says which keys a verb
has. Keys are never taken away or given another meaning without a new version; new ones may come.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_INTRODUCTION: Final = (
    "With `--json` a verb prints one JSON document on one line of standard output. An error is",
    'one on stderr, `{"error": {"code", "type", "message", "hint"}}`, with nothing on stdout.',
    "A key means the same wherever it stands. Each verb has a JSON Schema, to which the",
    "tests hold real output. `python -m memoria_cli.documents docs/reference/schemas` writes them",
    "and this page.",
)
_TYPES: Final[Mapping[str, Schema]] = {
    "int": {"type": "integer"},
    "number": {"type": "number"},
    "text": {"type": "string"},
    "bool": {"type": "boolean"},
    "ints": {"type": "array", "items": {"type": "integer"}},
    "texts": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object"},
    "objects": {"type": "array", "items": {"type": "object"}},
    "list": {"type": "array"},
    "any": {},
}

# What a key is, and what it means: "TYPE meaning"; TYPE? may be null.
KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "added": "ints ids of the engrams made",
        "after": "objects what was remembered after it",
        "age": "int steps since it was made",
        "api": "text address of the JSON API",
        "args": "texts arguments of the command",
        "ask": "object constants of asking that were set",
        "at": "any snapshot or step of the past that is shown; null for the present",
        "backbone": "text? what turns texts into vectors",
        "backbone_options": "object its options",
        "before": "objects what was remembered before it",
        "born": "int engrams made",
        "bytes": "int size",
        "bytes_after": "int size afterwards",
        "bytes_before": "int size before",
        "breakdown": "any the same table by kind of task, where there are kinds",
        "by_hand": "bool whether a person forgot it",
        "changed": "texts settings that are other than before",
        "cofire_count": "int steps at which both fired",
        "command": "text a command line",
        "commands": "texts command lines",
        "common_step": "int? last step that both have",
        "confidence": "number how often such an answer is one: 0 to 1",
        "config": "object configuration of the memory, which stays",
        "connections": "int? pairs that have fired together; null where too many to count",
        "correlation": "number exp of log_correlation",
        "count": "int how many",
        "created": "text when it was made (ISO 8601, UTC)",
        "created_step": "int step at which it was made",
        "created_time": "text? when it was made (ISO 8601, UTC)",
        "description": "text what it is",
        "different_steps": "int steps that came out otherwise",
        "digest": "text sha256 of the committed state, the same on every machine",
        "dimension": "int? numbers in a vector",
        "dropped_steps": "int steps that only the other place had",
        "duplicates": "int units passed over as another says the same",
        "dry_run": "bool whether nothing was done",
        "edges": "int connections",
        "engine": "text who did the work",
        "engrams": "int engrams",
        "engrams_added": "int engrams made",
        "engrams_dropped": "int forgotten engrams that are gone from the files",
        "engrams_kept": "int engrams in the files",
        "engrams_shown": "int engrams drawn",
        "entries_dropped": "int entries of the log that are gone",
        "entries_kept": "int entries of the log that stay",
        "error": "object? what went wrong: message, hint",
        "events": "int changes by hand since the last step",
        "experiment": "text its name",
        "extra": "text? packages that it needs",
        "files": "int files",
        "findings": "texts what came out, in words",
        "fire_count": "int steps at which it fired",
        "fired": "int firings",
        "first_step": "int first step of the log that is there",
        "first_step_time": "text? when the first step ended",
        "forgotten": "int forgotten engrams",
        "forgotten_step": "int? step at whose end it was forgotten",
        "format": "any format of the store, or of the file",
        "frames": "int pictures",
        "from": "number first value or step",
        "gain": "number? steps of lifespan gained",
        "given_gains": "int steps whose lifespans were given by hand",
        "held": "ints ids that snapshots hold",
        "held_by": "object forgotten engrams that each snapshot needs",
        "host": "text address it listens at",
        "id": "int the engram: a number that it keeps for ever",
        "identical": "bool whether every step came out the same",
        "ids": "ints engrams",
        "index": "int? place among the living of its lane; null of a forgotten one",
        "items": "int inputs",
        "kind": "text which kind",
        "lane": "int? lane: an independent memory",
        "last_step_time": "text? when the last step ended",
        "learned": "ints answers that gained lifespan",
        "lifespan": "number steps left; 2^40 and more have no end",
        "line": "int? line of the source",
        "living": "int living engrams",
        "log_correlation": "number logarithm of the correlation with the cue",
        "longterm": "int long-term engrams",
        "lost_begun": "bool whether a step begun is gone",
        "lost_events": "int changes by hand that are gone",
        "lost_snapshots": "texts snapshots that are gone",
        "lost_steps": "int steps that are gone",
        "moved": "int units found in another place",
        "median": "int? age that half reach",
        "memory": "text which memory it was found in: shortterm or longterm",
        "meta": "object? what stands beside the text",
        "missing": "any characters that no font has",
        "more": "int further findings",
        "name": "text its name",
        "near_ties": "ints steps at which rounding decided",
        "note": "text what is said of it",
        "notes": "text what was noted about the memory",
        "offset": "int? first character of the text in its source",
        "options": "object what was asked for",
        "origin": "text program that left the texts",
        "other": "texts files of other kinds, which are not read",
        "page": "text address of the page",
        "partners": "int engrams that it fired together with",
        "parts": "object parts of the score by name",
        "path": "text where it is",
        "peak_bytes": "int? the most memory it held at a time; null where nobody counted",
        "phase": "text idle, working (remind comes next) or reminded (adjust comes next)",
        "pinned": "bool whether it loses no lifespan",
        "plots": "texts plots made",
        "port": "int port it listens at",
        "preset": "text? settings to start from",
        "presets": "texts names of presets",
        "priority": "text how engrams were drawn",
        "question": "text? what was asked",
        "quit": "bool whether the user ended it",
        "reference": "object figures to compare with",
        "relation": "text same, continues, precedes, diverged or unrelated",
        "reminded": "int engrams reminded",
        "repaired": "object? the store that was saved; null where nothing is sound",
        "replaced_step": "int? step that was there before",
        "rounds": "int times that something was read",
        "rows": "int vectors",
        "rule": "text? lifespan rule; null for numbers given",
        "score": "number what answers are ranked by",
        "seconds": "number? time it took",
        "seed": "int seed of random draws",
        "settings": "object settings of the memory, which may change",
        "sha256": "text of the file",
        "share": "number 0 to 1",
        "shortterm": "int short-term engrams",
        "shown": "int engrams drawn",
        "since": "int step after which they were made",
        "skipped": "int units that were remembered before",
        "skipped_events": "int changes by hand to engrams that do not live here",
        "snapshots": "texts names of snapshots",
        "snapshots_dropped": "texts snapshots dropped",
        "sound": "bool whether all is as it was committed",
        "sound_step": "int last step that is sound",
        "source": "any file that a text is from; or the engram a connection starts at",
        "state": "text new, changed or read",
        "status": "text done, failed or kept",
        "step": "int? finished steps, or the step",
        "steps": "int steps",
        "steps_kept": "ints steps of the past that can be opened",
        "steps_shown": "int steps drawn",
        "summary": "any what it does; or what a run ended with",
        "target": "int engram that a connection leads to",
        "text": "text? the text",
        "texts": "list beginnings of both texts",
        "texts_added": "int texts that were taken",
        "texts_skipped": "int texts that were imported before",
        "time": "any own time of the text (ISO 8601, UTC), or when it happened",
        "timestep": "int finished steps of the store",
        "title": "text its title",
        "to": "number last value or step",
        "token": "text what writes must send",
        "type": "text working, shortterm, longterm or forgotten",
        "unchanged": "int files that are as they were",
        "unit": "text what part of a text becomes an engram",
        "unpinned": "ints engrams that age again",
        "up_to_date": "bool whether there was nothing to do",
        "url": "text address",
        "used": "ints engrams that answered",
        "value": "any value",
        "values": "any values by name",
        "vanished": "texts files that are gone",
        "waiting": "bool whether readers still hold files of before",
        "weight": "number chance that the target fires when the source does",
        "what": "text what happened",
        "working": "int engrams of the step begun",
        "written": "text? file that was written",
        "x_label": "text what runs to the right",
        "y_label": "text what runs upwards",
        "alt": "text what its picture shows, in words",
    }
)


def keys(names: str, optional: str = "", **parts: Any) -> Schema:
    """An object with these keys of `KEYS`; ``name:TYPE`` has another type than that says.

    Args:
        names: keys that are always there.
        optional: keys that may be, of ``parts`` too.
        parts: keys whose values are objects themselves, or ``[object]`` for lists of them.
    """
    properties: dict[str, Any] = {}
    required: list[str] = []
    may_lack = {word.partition(":")[0] for word in optional.split()}
    for word in (*names.split(), *optional.split()):
        name, _, kind = word.partition(":")
        if name not in parts:
            properties[name] = _key(name, kind)
        if name not in may_lack:
            required.append(name)
    for name, part in parts.items():
        inner = {"type": "array", "items": part[0]} if isinstance(part, list) else part
        properties[name] = inner
        if name not in may_lack and name not in required:
            required.append(name)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def either(**kinds: Schema) -> Schema:
    """One of several documents, by what makes the verb print it."""
    return {"anyOf": [{"title": name.replace("_", " "), **kind} for name, kind in kinds.items()]}


def _key(name: str, kind: str) -> Schema:
    usual, _, meaning = KEYS[name].partition(" ")
    kind = kind or usual
    schema = dict(_TYPES[kind.removesuffix("?")])
    if kind.endswith("?"):
        schema["type"] = [schema["type"], "null"]
    return {**schema, "description": meaning}


_STORE: Final = "path step digest"
_TEXT: Final = "source offset time meta"
_COUNTS: Final = "working shortterm longterm"
_NEIGHBOUR: Final = keys("id text")
_ENGRAM: Final = keys(
    "id lane index type lifespan age fire_count pinned created_step created_time forgotten_step "
    f"text {_TEXT}"
)
_ANSWER: Final = keys(
    f"id lane text score confidence parts line {_TEXT}", before=[_NEIGHBOUR], after=[_NEIGHBOUR]
)
_BIN: Final = keys("from to count")
_LINK: Final = keys("id weight cofire_count text")
_LANE: Final = keys(f"lane {_COUNTS} forgotten")
_SUMMARY: Final = (
    "path at format step phase config engrams connections bytes digest first_step_time "
    "last_step_time"
)
_HAPPENED: Final = keys("step time")
_INSPECTED: Final = keys(
    _SUMMARY,
    "engram_list edges history forgotten_list pyramid survival hubs",
    lanes=[_LANE],
    histograms=keys("", lifespan=[_BIN], age=[_BIN]),
    pyramid=[keys(f"from to {_COUNTS}")],
    survival=keys("engrams since median", points=[keys("age share")]),
    hubs=[keys("id lane type fire_count text partners", connections=[_LINK])],
    engram_list=[keys("id lane index type lifespan age fire_count pinned text")],
    edges=[keys("source target lane weight cofire_count")],
    history=[keys("step time added:int fired reminded forgotten living")],
    forgotten_list=[keys("id lane step time age fire_count by_hand text")],
)
_LIFE: Final = keys(
    f"id lane index type lifespan age fire_count pinned text {_TEXT} shortterm:int? longterm:int? "
    "forgotten:object?",
    created=_HAPPENED,
    events=[keys("step what time")],
    firings=[keys("step gain lifespan")],
    outgoing=[_LINK],
    incoming=[_LINK],
)
_SNAPSHOT: Final = "name step events digest created note"
_LOST: Final = "lost_steps lost_events lost_begun lost_snapshots"
_SIDE: Final = keys("path at step phase digest engrams created:int")
_AB: Final = "id lane text"
_TWO: Final = {"type": "object", "description": "the value in A and in B"}
_ANY: Final = {"type": ["number", "boolean", "string", "null"]}
_UNREADABLE: Final = keys("name error:text")
_SETTINGS: Final = keys("backbone unit ask notes")
_RUN: Final = keys(
    "seed status path seconds peak_bytes summary error:any",
    "model variant",
    model=_ANY,
    variant=_ANY,
)
_TABLE: Final = {"type": "array", "items": {"type": "object"}, "description": "a row a variant"}

# By verb; those of a group as "group verb".
DOCUMENTS: Final[Mapping[str, Schema]] = MappingProxyType(
    {
        "init": keys(f"{_STORE} config"),
        "add": keys(f"{_STORE} phase engrams_added", lanes=[keys("lane added")]),
        "step": either(
            one_store=keys("path steps timestep engrams_added skipped digest", "duplicates"),
            a_folder_or_with_sync=keys(
                "path steps timestep engrams_added skipped digest forgotten moved",
                "duplicates",
                files={"type": "object", "additionalProperties": {"type": "integer"}},
                unreadable=[_UNREADABLE],
            ),
            with_dry_run=keys(
                "dry_run other",
                "unchanged renamed vanished",
                files=[keys("name state bytes:int?")],
                renamed=[keys("before:text name")],
                unreadable=[_UNREADABLE],
            ),
            with_watch_folder=keys("path rounds steps engrams_added forgotten moved"),
            with_each=keys(
                "",
                stores=[
                    keys("path status", "error steps timestep engrams_added skipped digest:text?")
                ],
            ),
        ),
        "edit": keys("step id text meta"),
        "ask": either(
            one_question=keys("step", "learned used", answers=[_ANSWER]),
            with_questions={
                "type": "array",
                "items": keys("question", "learned used", answers=[_ANSWER]),
            },
        ),
        "remind": keys(
            "step",
            lanes=[
                keys(
                    "lane",
                    reminded=[
                        keys(
                            "id index type lifespan correlation log_correlation memory text "
                            "source line time"
                        )
                    ],
                )
            ],
        ),
        "adjust": keys(f"{_STORE} phase rule"),
        "used": keys("step used gain question"),
        "inspect": either(a_memory=_INSPECTED, one_engram=_LIFE),
        "list": keys("step count", engrams=[_ENGRAM]),
        "diff": keys(
            "relation common_step config",
            a=_SIDE,
            b=_SIDE,
            counts={"type": "object", "additionalProperties": {"type": ["integer", "null"]}},
            born=[_ENGRAM],
            forgotten=[_ENGRAM],
            returned=[_ENGRAM],
            only_in_a=[_ENGRAM],
            moved=[keys(f"{_AB} from:text to:text")],
            pinned=[keys(_AB, a=_ANY, b=_ANY)],
            lifespan=[keys(_AB, a=_ANY, b=_ANY, change=_ANY)],
            connections={
                "type": ["array", "null"],
                "items": keys("source target lane texts", cofire_count=_TWO, weight=_TWO),
                "description": "null where there are too many to compare unasked",
            },
        ),
        "plot": keys(
            "path at step first_step kind title x_label y_label note alt options",
            frames={"type": "object", "description": "columns by name, in tables by name"},
            out={
                "type": ["object", "null"],
                "description": "the file that -o wrote: path, format, bytes",
            },
        ),
        "report": keys("path bytes step engrams shown connections plots"),
        "replay": either(
            compared=keys(
                "steps identical near_ties:list different_steps given_gains from to",
                first_difference={"type": ["object", "null"]},
            ),
            with_set=keys("path steps engrams skipped_events digest"),
            with_sample=keys("path priority seed ids"),
            with_watch=keys("from to steps frames quit"),
            with_render=keys(
                "path format bytes from to steps steps_shown engrams engrams_shown frames seconds "
                "missing alt"
            ),
        ),
        "undo": keys(f"path commands step digest {_LOST} dry_run"),
        "pin": keys("step pinned:ints"),
        "unpin": keys("step unpinned"),
        "forget": keys(
            "step count dry_run",
            "erased",
            forgotten=[keys("id lane lifespan text")],
            erased=keys("count held snapshots waiting"),
        ),
        "snapshot create": keys(f"path {_SNAPSHOT}"),
        "snapshot list": keys("path", snapshots=[keys(_SNAPSHOT)]),
        "snapshot show": keys(f"{_SUMMARY} name events created note", lanes=[_LANE]),
        "snapshot restore": keys(f"name {_STORE}", f"{_LOST} dry_run"),
        "snapshot delete": keys(f"path {_SNAPSHOT} dry_run"),
        "export": keys("format path step engrams bytes", "edges digest sha256"),
        "import": either(
            an_archive=keys(f"{_STORE} engrams"),
            texts_of_another_program=keys(
                f"{_STORE} origin texts_added texts_skipped engrams_added"
            ),
        ),
        "push": keys(f"{_STORE} url files bytes up_to_date replaced_step dropped_steps"),
        "pull": keys(f"{_STORE} url replaced_step up_to_date"),
        "encode": either(
            one_file=keys("path rows items dimension backbone backbone_options"),
            with_shards=keys(
                "rows items dimension backbone backbone_options",
                shards=[keys("path status", "error rows items dimension")],
            ),
        ),
        "verify": keys(
            "path sound format step sound_step files bytes more",
            "repaired",
            garbage=keys("files bytes"),
            findings=[keys("kind path lane step", "array message", array=_ANY, message=_ANY)],
            notes=[keys("path", "message", message=_ANY)],
        ),
        "compact": keys(
            "path dry_run engrams_kept engrams_dropped entries_kept entries_dropped "
            "snapshots_dropped steps_kept bytes_before bytes_after held_by waiting"
        ),
        "config show": either(
            a_memory=keys("path config", settings=_SETTINGS),
            with_user=keys("path:text?", settings=[keys("name value source")]),
        ),
        "config set": either(
            a_memory=keys("path changed", settings=_SETTINGS),
            with_user=keys("path settings changed"),
        ),
        "serve": keys("url api page host port token"),
        "mcp": keys("", mcpServers=keys("", memoria=keys("command args"))),
        "experiment list": keys(
            "",
            experiments=[
                keys(
                    "name summary presets",
                    metrics=[keys("name title", better={"type": "string"})],
                    settings=[keys("name description values")],
                )
            ],
            models=[
                keys(
                    "name summary extra",
                    settings={
                        "type": ["array", "null"],
                        "items": keys("name description value"),
                        "description": "its own, where it is named",
                    },
                )
            ],
        ),
        "experiment run": keys(
            "experiment preset path reference findings plots breakdown",
            runs=[_RUN],
            table=_TABLE,
        ),
        "experiment sweep": keys(
            "experiment path dry_run plots",
            "engine table runs plots",
            points={"type": "array", "items": {"type": "object"}},
            runs={"type": "array", "items": {"type": "object"}},
            table=_TABLE,
        ),
        "experiment report": keys(
            "path written",
            experiments={"type": "array", "items": {"type": "object"}},
            unreadable={"type": "array", "items": {"type": "object"}},
        ),
        "demo": keys(
            "path", commands=[keys("command", result={"description": "as that verb prints it"})]
        ),
    }
)
ERROR: Final[Schema] = keys(
    "",
    error={
        "type": "object",
        "properties": {
            "code": {"type": "integer", "description": "exit code"},
            "type": {"type": "string", "description": "name of the exception in Python"},
            "message": {"type": "string", "description": "one line"},
            "hint": {"type": ["string", "null"], "description": "the way out"},
        },
        "required": ["code", "type", "message", "hint"],
        "additionalProperties": False,
    },
)


def schema(verb: str) -> Schema:
    """The JSON Schema of what ``memoria VERB --json`` prints."""
    return {"$schema": _DIALECT, "title": f"memoria {verb} --json", **DOCUMENTS[verb]}


def write(folder: Path) -> None:
    """Write a schema a verb, that of errors, and a page with the keys of all."""
    folder.mkdir(parents=True, exist_ok=True)
    for verb in DOCUMENTS:
        _write_json(folder / f"{file_name(verb)}.json", schema(verb))
    error = {"$schema": _DIALECT, "title": "an error, on stderr", **ERROR}
    _write_json(folder / "error.json", error)
    (folder.parent / "json.md").write_text("\n".join(_page(folder.name)), encoding="utf-8")


def file_name(verb: str) -> str:
    """The name of a verb's schema without its ending."""
    return verb.replace(" ", "-")


def _write_json(path: Path, content: Schema) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _page(folder: str) -> Iterator[str]:
    yield "# JSON of every verb"
    yield ""
    yield from _INTRODUCTION
    for verb in DOCUMENTS:
        yield ""
        yield f"## {verb}"
        one = DOCUMENTS[verb]
        for kind in one.get("anyOf", [one]):
            yield ""
            if "title" in kind:
                yield f"{kind['title'].capitalize()}:"
                yield ""
            yield "`" + _notation(kind) + "`"
        yield ""
        yield f"Schema: [{file_name(verb)}.json]({folder}/{file_name(verb)}.json)"
    yield ""
    yield "## Keys"
    yield ""
    yield "| key | type | meaning |"
    yield "|---|---|---|"
    for name, text in KEYS.items():
        kind, _, meaning = text.partition(" ")
        yield f"| `{name}` | {kind.replace('?', ' or null')} | {meaning} |"
    yield ""


def _notation(schema: Schema) -> str:
    """The keys of a document on one line: ``step, answers[{id, text}], learned?``."""
    if schema.get("type") == "array":
        return f"[{{{_notation(schema['items'])}}}]"
    words: list[str] = []
    for name, one in schema["properties"].items():
        inner = one.get("items", one)
        word = name + ("" if name in schema["required"] else "?")
        if "properties" in inner:
            below = f"{{{_notation(inner)}}}"
            word += f"[{below}]" if one is not inner else below
        words.append(word)
    return ", ".join(words)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
