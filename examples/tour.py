"""A memory of texts from the library: read, asked, looked at, drawn, taken elsewhere.

Runs as a script, ``python examples/tour.py [FOLDER]``, and cell by cell (``# %%``) in Jupyter or
VS Code. Without FOLDER everything lies in a new temporary one.
Needs ``memoria-engrams[viz,parquet]``.
"""

# %% A place for everything that is made here
import sys
import tempfile
from pathlib import Path

named = [word for word in sys.argv[1:] if not word.startswith("-")]
folder = Path(named[0] if named and "ipykernel" not in sys.modules else tempfile.mkdtemp())
folder.mkdir(parents=True, exist_ok=True)
print(f"everything is in {folder}")

# %% A text to read: the help that every Python brings
from memoria.experiments.demo_texts import help_text

text = folder / "help.txt"
text.write_text(help_text(), encoding="utf-8")
print(text.read_text(encoding="utf-8")[:300], "...")

# %% A new memory on disk. `hash` is the built-in backbone: texts to vectors without a download
from memoria import MemoriaConfig
from memoria.backbones.streams import InputStream, store_backbone
from memoria.store import MemoryStore

config = MemoriaConfig(
    backbone="hash",
    hidden_dim=384,
    wm_length=8,  # sentences a step
    stm_capacity=64,
    initial_lifespan=20,
    rule="correlation:8",  # what the reminded gain
)
place = folder / "memory"
with MemoryStore.create(place, config) as store:
    for working in InputStream(config, [text], limit=60):
        reminded = store.step(working.data, texts=working.texts, places=working.places)
    print(f"step {store.timestep}, digest {store.digest()[:16]}...")

# %% It is asked something, by the way: `peek` changes nothing
backbone = store_backbone(config)
question = "How does a loop end early?"
with MemoryStore.open(place) as store:
    answer = store.peek(backbone.encode([question]))
    for told, near in zip(answer.texts[0], answer.log_correlation[0].tolist(), strict=True):
        if told:
            print(f"{near:7.3f}  {told[:90]}")

# %% What it holds, and the life of the engram that fired most
from memoria.query.inspection import Inspection

with Inspection.open(place) as view:
    summary = view.summary()
    print({name: summary[name] for name in ("step", "engrams", "connections", "bytes")})
    busiest = max(view.engram_list(), key=lambda one: one["fire_count"])
    story = view.engram(busiest["id"])
    print(story["text"])
    for firing in story["firings"][:5]:
        print(f"  step {firing['step']}: {firing['gain']:+.2f}, {firing['lifespan']:.2f} left")

# %% The whole life as data frames: every engram, every firing, every step
from memoria.analysis import analyse, open_chronicle

with open_chronicle(place) as life:
    frames = life.to_pandas()
    survival = analyse(life, "survival")
    sizes = analyse(life, "sizes")
print(frames["engrams"].tail(3).to_string())
print(frames["steps"].tail(3).to_string())
longest = frames["firings"].groupby("id")["gain"].sum().nlargest(3)
print("gained most:", longest.round(1).to_dict())

# %% The same numbers drawn, and as files
from memoria.plots import draw

for analysis in (survival, sizes):
    draw(analysis, folder / f"{analysis.kind}.svg", force=True)
draw(survival, folder / "survival.html", force=True)
survival.write_parquet(folder / "survival.parquet")
print(survival.title, "-", survival.note)
print(survival.to_pandas().head(3).to_string())

# %% Every step again, from what was stored: bit for bit
from memoria.store.replay.recompute import recompute

replayed = recompute(place)
print(f"{replayed.steps} steps again, identical: {replayed.identical}")

# %% The store as a memory in tensors, as a model uses it, and back
import torch

from memoria.store import load_memory, save_memory

memory = load_memory(place, track_id=True)
print(memory.engrams)
memory.add_working_memory(torch.from_numpy(backbone.encode(["A new thought."]))[None])
vectors, indices = memory.remind()
memory.adjust_lifespan_and_memories(indices, torch.full(indices.shape, 2.0))
save_memory(memory, folder / "went-on")
with MemoryStore.open(folder / "went-on") as store:
    print(f"the copy is at step {store.timestep}, the store still at {summary['step']}")

# %% One file to take along, and one page to look at
from memoria.exports import export_memory
from memoria.report import write_report
from memoria.store.archive import import_archive, write_archive
from memoria.store.reading import open_files

files = open_files(place)
write_archive(files, folder / "memory.zip")
files.close()
import_archive(folder / "memory.zip", folder / "elsewhere")
with Inspection.open(folder / "elsewhere") as view:
    print(f"elsewhere: the same digest, {view.digest == summary['digest']}")
    export_memory(view, folder / "memory.graphml", "graphml")
write_report(place, folder / "report.html")
for made in sorted(folder.iterdir()):
    print(made.name)
