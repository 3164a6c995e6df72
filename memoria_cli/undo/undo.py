"""`memoria undo`: back to the state before the last command."""

from __future__ import annotations

import os

from memoria_cli.options import DropLater, DryRun, Json, Yes, confirm
from memoria_cli.stores import Store
from memoria_cli.terminal import output
from memoria_cli.undo.snapshot import describe_loss
from memoria_cli.verbs import verb


@verb("undo", "memoria undo notes --dry-run", "memoria undo notes --yes --json")
def undo(
    store: Store,
    drop_later: DropLater = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Go back to before the last command that changed the memory.

    Asks first. What came later is gone for good: a second undo takes back the command before, and
    nothing brings back what was undone. `memoria compact` and going back to a snapshot are no such
    commands, and what compaction removed cannot be gone back to.
    """
    from memoria.store.compacting import undo as undo_command

    outcome = undo_command(store, drop_later, dry_run=True)
    words = ", ".join(outcome["commands"])
    if not dry_run:
        confirm([describe_loss(outcome)], f"Undo {words}, back to step {outcome['step']}?", yes)
        outcome = undo_command(store, drop_later)
    document = {"path": os.path.abspath(store), **outcome, "dry_run": dry_run}
    would = "would be undone" if dry_run else "undone"
    human = f"{would}: {words}; back at step {outcome['step']}, {describe_loss(outcome)}"
    output.result(document, [human], json)
