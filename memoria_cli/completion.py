"""What a shell completes: verbs, options and their words, stores, STORE@NAME, engrams by id.

A script for each shell asks this program, by a variable of the environment, with the line as far as
it is typed in ``COMP_LINE``. Where nothing is known the shell completes files.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

from memoria_cli.help_page import is_group
from memoria_cli.stores import find_store, is_named_store, split_store

VARIABLE: Final = "_MEMORIA_COMPLETE"  # as `memoria_cli.app` knows it without this module
_LINE: Final = "COMP_LINE"
_BREAKS: Final = "_MEMORIA_BREAKS"  # characters at which bash parts words
_MOST: Final = 50  # engrams
_TEXT: Final = 60
_ENGRAMS: Final = ("ids", "engram", "used")  # parameters that take ids
SCRIPTS: Final[Mapping[str, str]] = {
    "bash": f"""\
_memoria_completion() {{
    local IFS=$'\\n'
    COMPREPLY=( $({_LINE}="${{COMP_LINE:0:$COMP_POINT}}" {_BREAKS}="$COMP_WORDBREAKS" \\
        {VARIABLE}=complete_bash "$1" 2>/dev/null) )
    [[ ${{#COMPREPLY[@]}} == 1 && ${{COMPREPLY[0]}} == */ ]] && compopt -o nospace
}}
complete -o default -F _memoria_completion memoria
""",
    "zsh": f"""\
#compdef memoria
_memoria() {{
    local -a found
    found=("${{(@f)$({_LINE}="${{(j: :)words[1,CURRENT]}}" {VARIABLE}=complete_zsh \\
        ${{words[1]}} 2>/dev/null)}}")
    if [[ -n "$found" ]]; then _describe memoria found; else _files; fi
}}
if [[ $funcstack[1] == _memoria ]]; then _memoria "$@"; else compdef _memoria memoria; fi
""",
    "fish": f"""\
function __memoria_complete
    set -lx {VARIABLE} complete_fish
    set -lx {_LINE} (commandline -cp)
    command memoria 2>/dev/null
end
complete -c memoria -a "(__memoria_complete)"
""",
}
_PLACES: Final[Mapping[str, str]] = {  # below the home folder
    "bash": ".local/share/bash-completion/completions/memoria",
    "zsh": ".zfunc/_memoria",
    "fish": ".config/fish/completions/memoria.fish",
}
_NEXT: Final[Mapping[str, str]] = {
    "bash": "the package bash-completion loads it; else `source` it in ~/.bashrc",
    "zsh": "put `fpath+=~/.zfunc` before `compinit` in ~/.zshrc",
    "fish": "fish loads it",
}


class Word(NamedTuple):
    """What a word may become, and what that is."""

    value: str
    about: str = ""


def install(shell: str) -> tuple[Path, str]:
    """Write a shell's script where that looks for it; return the file and what is left to do."""
    path = Path.home() / _PLACES[shell]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SCRIPTS[shell], encoding="utf-8")
    return path, _NEXT[shell]


def answer(root: Any, instruction: str) -> list[str]:
    """The lines that a shell's script asks for; none rather than an error."""
    kind, _, shell = instruction.partition("_")
    if kind != "complete":
        return SCRIPTS.get(shell, "").splitlines()
    words, last = _typed()
    with suppress(Exception):  # what is half typed may be anything
        return [_formatted(one, shell, last) for one in complete(root, words, last)]
    return []


def complete(root: Any, words: Sequence[str], last: str) -> list[Word]:
    """What the ``last`` word may become after ``words``, the first of which is the program."""
    command, rest = root, [*words[1:]]
    while is_group(command) and rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            if command.get_command(None, word) is None:
                return []
            command = command.commands[word]
    if is_group(command) and not last.startswith("-"):
        names = command.list_commands(None)
        found = [Word(name, _summary(command.get_command(None, name))) for name in names]
    else:
        found = [*_words(command, rest, last)]
    return [one for one in found if one.value.startswith(last)]


def _typed() -> tuple[list[str], str]:
    """The words before the one that is completed, and that one."""
    if _LINE in os.environ:
        line = os.environ[_LINE]
        try:
            words = shlex.split(line)
        except ValueError:  # within quotes
            words = line.replace('"', " ").replace("'", " ").split()
        return (words, "") if not line or line[-1].isspace() else (words[:-1], words[-1])
    words = os.environ.get("COMP_WORDS", "").split()
    at = int(os.environ.get("COMP_CWORD", len(words)))
    return words[:at], words[at] if at < len(words) else ""


def _formatted(word: Word, shell: str, last: str) -> str:
    about = " ".join(word.about.split())
    if shell == "zsh":
        return word.value.replace(":", r"\:") + (f":{about}" if about else "")
    if shell == "fish":
        return f"{word.value}\t{about}" if about else word.value
    parted = max((last.rfind(one) for one in os.environ.get(_BREAKS, "")), default=-1) + 1
    return word.value[parted:]  # bash replaces only what follows the last of its breaks


def _summary(command: Any) -> str:
    return str(command.help or "").partition("\n\n")[0]


def _words(command: Any, typed: Sequence[str], last: str) -> Iterator[Word]:
    """What an option, its value or an argument of ``command`` may be."""
    options = {
        name: one
        for one in command.params
        if one.param_type_name == "option"
        for name in (*one.opts, *one.secondary_opts)
    }
    arguments: list[str] = []
    waiting = None
    named = None
    for word in typed:
        if waiting is not None:
            named = word if waiting.name == "store_named" else named
            waiting = None
        elif word in options:
            waiting = None if getattr(options[word], "is_flag", False) else options[word]
        elif not word.startswith("-"):
            arguments.append(word)
    if waiting is not None:
        yield from _values(waiting, last, lambda: _store(arguments, named))
        return
    if last.startswith("-"):
        used = {
            id(options[word]) for word in typed if word in options and not options[word].multiple
        }
        for name, one in options.items():
            if id(one) not in used and not one.hidden:
                yield Word(name, one.help or "")
        return
    declared = [one for one in command.params if one.param_type_name == "argument"]
    place = len(arguments)
    if arguments and declared[0].name == "store" and not is_named_store(arguments[0]):
        place += 1  # the store is found elsewhere
    if declared and (place < len(declared) or declared[-1].nargs == -1):
        one = declared[min(place, len(declared) - 1)]
        if one.name == "words" and not arguments:  # the store, or a question
            yield from _stores(last, past=True)
        yield from _values(one, last, lambda: _store(arguments, named))


def _store(arguments: Sequence[str], named: str | None) -> str:
    """The store that the line means."""
    return find_store(arguments, named)[0]


def _values(parameter: Any, last: str, store: Any) -> Iterator[Word]:
    """What the value of a parameter may be."""
    kind = parameter.type_descriptor.annotation
    if get_origin(kind) is Literal:
        yield from map(Word, map(str, get_args(kind)))
    elif parameter.name in ("store", "store_named", "a", "b"):
        yield from _stores(last, "STORE@" in (parameter.help or ""))
    elif parameter.name in _ENGRAMS:
        yield from _engrams(store(), last)
    elif parameter.name == "name" and parameter.param_type_name == "argument":
        yield from map(Word, _snapshots(split_store(store())[0]))
    elif parameter.name == "kind":
        from memoria.analysis.kinds import KINDS

        yield from (Word(name, one.summary) for name, one in KINDS.items())


def _stores(last: str, past: bool) -> Iterator[Word]:
    """Stores and folders that begin so; after an @ the snapshots of one."""
    path, at, _ = last.rpartition("@")
    if past and at and is_named_store(path):
        yield from (Word(f"{path}@{name}") for name in _snapshots(path))
        return
    folder, _, beginning = last.rpartition("/")
    above = f"{folder}/" if "/" in last else ""
    for entry in sorted(os.scandir(above or "."), key=lambda one: one.name):
        if not entry.name.startswith(beginning) or (entry.name[0] == "." and not beginning):
            continue
        place = f"{above}{entry.name}"
        if is_named_store(place):
            yield Word(place, "a store")
        elif entry.is_dir():
            yield Word(f"{place}/")


def _snapshots(path: str) -> list[str]:
    from memoria.store.snapshots import list_snapshots

    return [*list_snapshots(path)]


def _engrams(store: str, last: str) -> Iterator[Word]:
    """The newest living engrams whose ids begin so."""
    from memoria.query.inspection import Inspection
    from memoria.query.listing import EngramFilter

    with Inspection.open(*split_store(store)) as view:
        wanted = EngramFilter("living", ids=(last,) if last else ())
        for one in view.listing(wanted, "id", True, _MOST).documents():
            yield Word(str(one["id"]), (one["text"] or "")[:_TEXT])
