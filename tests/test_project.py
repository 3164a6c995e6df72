"""The project's files agree with each other and name nothing that a stranger does not have."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Home folders and mounts of one machine, and hosts that serve packages.
FOREIGN = re.compile(
    rb"/(?:root|opt|work|mnt)/[\w.]|/home/[a-z]\w+/|/Users/[a-z]\w+/"
    rb"|\bindex-url\s*[= ]\s*\S+:/|\bfind-lin[k]s\b"
    rb"|https?://[\w.-]*(?:pypi|pythonhosted|download\.pytorch|artifactory|nexus|mirror)"
)


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the repository."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return tuple(ROOT / name for name in listed.stdout.split("\0") if name)


@cache
def project() -> dict[str, object]:
    """The table `project` of pyproject.toml."""
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def extras() -> dict[str, list[str]]:
    found = project()["optional-dependencies"]
    assert isinstance(found, dict)
    return found


def test_no_file_names_a_path_of_one_machine_or_a_host_of_packages() -> None:
    found = [
        (path.relative_to(ROOT).as_posix(), match.group())
        for path in tracked()
        if path.is_file()
        for match in FOREIGN.finditer(path.read_bytes())
    ]
    assert found == []


@pytest.mark.parametrize(
    "parts",  # apart, so that this file names none of them
    [
        (b"see /home", b"/anna/notes"),
        (b"/ro", b"ot/notes"),
        (b"--index-url", b" https://x"),
        (b"https://py", b"pi.org"),
    ],
)
def test_such_a_name_is_noticed(parts: tuple[bytes, ...]) -> None:
    assert FOREIGN.search(b"".join(parts))


def test_paths_that_documents_name_are_there() -> None:
    rooms = "memoria|memoria_cli|tests|stores|examples|benchmarks|docs|locks"
    missing = []
    for path in tracked():
        if path.suffix != ".md" or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        linked = {one for one in re.findall(r"\]\(([^)#\s]+)", text) if ":" not in one}
        named = set(re.findall(rf"(?<![\w/.-])(?:{rooms})/[\w/.-]*\w", text))
        found = [path.parent / one for one in linked] + [ROOT / one for one in named]
        missing += [f"{path.name}: {one}" for one in found if not one.exists()]
    assert not missing, "\n".join(missing)


def test_hints_name_the_distribution_and_extras_that_exist() -> None:
    known = set(extras())
    for path in tracked():
        if path.suffix not in (".py", ".md", ".toml") or path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"install\s+\S*['\"]?memoria\\?\[", text), path
        for named in re.findall(r"memoria-engrams\\?\[([a-z0-9,]+)\\?\]", text):
            assert set(named.split(",")) <= known, (path, named)


def test_every_lower_bound_is_what_the_lowest_lock_installs() -> None:
    lock = (ROOT / "locks" / "lowest.txt").read_text()
    installed = dict(re.findall(r"^([\w.-]+)==(\S+)$", lock, re.M))
    core = project()["dependencies"]
    assert isinstance(core, list)
    for line in (*core, *(one for group in extras().values() for one in group)):
        name, _, bound = re.fullmatch(r"([\w.-]+)(\[[\w,]+\])?(.*)", line).groups()  # type: ignore[union-attr]
        if name == "memoria-engrams":
            continue
        least = re.search(r"[>=]=([\w.]+)", bound)
        assert least, line
        wanted = re.sub(r"(\.0)+$", "", least.group(1))
        assert re.sub(r"(\.0)+$", "", installed[name.lower()]) == wanted, line


def test_the_version_stands_in_one_place() -> None:
    from memoria import __version__

    assert "version" in project()["dynamic"]  # type: ignore[operator]
    assert not re.search(r"^version:", (ROOT / "CITATION.cff").read_text(), re.M)
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
