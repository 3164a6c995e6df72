"""What was meant by a verb or an option that does not exist: likely spellings, and synonyms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

# Words for a verb, or a line, by what they are called here. Groups come first where both have it.
_VERBS: Final[Mapping[str, str]] = {
    "ask": "search find query question answer grep lookup retrieve recall",
    "step": "remember read ingest load learn insert feed index save store put",
    "init": "new create make initialise initialize",
    "list": "ls engrams all dir",
    "inspect": "info stat stats status view look summary describe show",
    "inspect STORE --history": "history log",
    "forget": "rm remove delete del drop erase",
    "undo": "revert rollback back reset",
    "snapshot": "tag checkpoint branch restore snapshots",
    "edit": "correct update change modify fix",
    "export": "backup dump archive save-as write",
    "import": "unpack extract open",
    "push": "upload send",
    "pull": "download fetch clone",
    "encode": "embed vectorise vectorize vectors",
    "compact": "gc vacuum clean prune shrink",
    "verify": "check fsck doctor validate test",
    "config": "settings configure set preferences",
    "diff": "compare difference changes",
    "plot": "graph draw chart figure",
    "report": "page html",
    "replay": "play animate rerun watch",
    "pin": "keep protect hold",
    "used": "useful feedback confirm vote",
    "experiment": "train bench benchmark run sweep",
    "demo": "tour example tutorial",
    "serve": "server web ui http api",
    "mcp": "agent tools",
    "--help": "help man usage",
    "--version": "version",
}
_OF_GROUPS: Final[Mapping[str, str]] = {
    "create": "new add save make tag",
    "delete": "rm remove del drop forget",
    "list": "ls all",
    "restore": "back goto checkout undo revert",
    "show": "info get inspect view print list",
    "set": "change edit put",
    "run": "start train",
}
_OPTIONS: Final[Mapping[str, str]] = {
    "--output": "--out --outfile --file --to --dest --path",
    "--limit": "--top --max --count --number --size --rows -k",
    "--force": "--overwrite --replace --clobber -f",
    "--quiet": "--silent",
    "--yes": "--assume-yes --no-confirm --noconfirm --confirm",
    "--dry-run": "--preview --simulate --plan --what-if",
    "--json": "--as-json --output-json",
    "--format": "--style --as",
    "--store": "--db --database --memory --dir",
    "--sort": "--order --order-by --sort-by",
    "--reverse": "--desc --descending",
    "--jobs": "--workers --threads --processes --parallel",
    "--source": "--file --from-file --origin",
    "--since": "--after --newer-than",
    "--until": "--before",
    "--context": "--around -C",
    "--why": "--explain --reasons",
}


def suggest_verb(word: str, known: Iterable[str], is_group: bool) -> str | None:
    """The verb, of those ``known``, that ``word`` may mean, or an option in place of one."""
    names = [*known]
    table = _OF_GROUPS if is_group else _VERBS
    for meant, words in table.items():
        name = meant.partition(" ")[0]
        if word.lower() in words.split() and (name in names or name.startswith("-")):
            return meant
    return _closest(word, names)


def suggest_option(word: str, command: Any) -> str | None:
    """The option of ``command`` that ``word`` may mean."""
    options = [one for one in command.params if one.param_type_name == "option"]
    names = [name for one in options for name in (*one.opts, *one.secondary_opts)]
    for meant, words in _OPTIONS.items():
        if meant in names and word in words.split():
            return meant
    return _closest(word, [name for name in names if name.startswith("--")])


def _closest(word: str, names: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word.lower(), names, n=1, cutoff=0.7)), None)
