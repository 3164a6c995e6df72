"""Conversations with ChatGPT and Claude, as their settings export them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from memoria.imports.texts import ImportedText, objects, text_of
from memoria.io.times import read_time

_SPEAKERS: Final = {"user": "user", "human": "user", "assistant": "assistant"}
_BETWEEN: Final = 2  # characters from one message to the next
_SHORT_ID: Final = 8

_Message = tuple[str, str, Any, str]  # speaker, text, time, id


def is_chatgpt(document: Any) -> bool:
    """Whether it is a list of conversations in the form of ChatGPT's export."""
    return any("mapping" in one for one in objects(document))


def is_claude(document: Any) -> bool:
    """Whether it is a list of conversations in the form of Claude's export."""
    return any("chat_messages" in one for one in objects(document))


def read_chatgpt(document: Any) -> Iterator[ImportedText]:
    """What was said, along the branch of each conversation that was shown last."""
    for one in objects(document):
        messages = [
            (
                _SPEAKERS.get(str(_under(message, "author").get("role")), ""),
                _chatgpt_text(_under(message, "content")),
                message.get("create_time"),
                str(message.get("id") or ""),
            )
            for message in _branch(one)
        ]
        yield from _conversation(one, "title", "id", messages)


def read_claude(document: Any) -> Iterator[ImportedText]:
    """What was said, in order."""
    for one in objects(document):
        messages = [
            (
                _SPEAKERS.get(str(message.get("sender")), ""),
                _claude_text(message),
                message.get("created_at"),
                str(message.get("uuid") or ""),
            )
            for message in objects(one.get("chat_messages"))
        ]
        yield from _conversation(one, "name", "uuid", messages)


def _conversation(
    one: dict[str, Any], title: str, id_: str, messages: list[_Message]
) -> Iterator[ImportedText]:
    number = text_of(one.get(id_) or one.get("conversation_id"))
    name = text_of(one.get(title)) or "untitled"
    source = f"{name} ({number[:_SHORT_ID]})" if number else name
    offset = 0
    for speaker, text, time, message in messages:
        if not text or not speaker:
            continue
        meta = {"speaker": speaker, "title": name, "conversation": number, "message": message}
        kept = {key: value for key, value in meta.items() if value}
        yield ImportedText(text, source, offset, read_time(time), kept)
        offset += len(text) + _BETWEEN


def _branch(conversation: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages from the first to the one shown last."""
    mapping = _under(conversation, "mapping")
    node, seen, found = conversation.get("current_node"), set[str](), []
    if not isinstance(node, str) or node not in mapping:
        messages = [_under(one, "message") for one in objects(list(mapping.values()))]
        timed = [one for one in messages if read_time(one.get("create_time")) is not None]
        return sorted(timed, key=lambda one: read_time(one["create_time"]) or 0)
    while isinstance(node, str) and node in mapping and node not in seen:
        seen.add(node)
        found.append(_under(mapping, node))
        node = found[-1].get("parent")
    return [_under(one, "message") for one in reversed(found)]


def _chatgpt_text(content: dict[str, Any]) -> str:
    """The words of a message; images and what tools said are left out."""
    if content.get("content_type") not in ("text", "multimodal_text"):
        return ""
    parts = content.get("parts")
    words = [text_of(part) for part in parts] if isinstance(parts, list) else []
    return "\n".join(filter(None, words))


def _claude_text(message: dict[str, Any]) -> str:
    blocks = [
        text_of(block.get("text"))
        for block in objects(message.get("content"))
        if block.get("type") == "text"
    ]
    return "\n".join(filter(None, blocks)) or text_of(message.get("text"))


def _under(values: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under a key; an empty one where there is none."""
    found = values.get(key)
    return found if isinstance(found, dict) else {}
