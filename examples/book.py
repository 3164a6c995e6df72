"""A memory of a book: read, asked, drawn as a map and over its life.

Runs as a script, ``python examples/book.py [FOLDER] [BOOK.txt]``, and as the notebook beside it.
Without BOOK.txt it reads the prose of the help that every Python brings.
Needs ``memoria-engrams[text,viz]``.
"""

# %% The book, and a place for what is made
import sys
import tempfile
from pathlib import Path

from memoria.experiments.demo_texts import QUESTIONS, help_text

words = [] if "ipykernel" in sys.modules else sys.argv[1:]
folder = Path(words[0] if words else tempfile.mkdtemp())
folder.mkdir(parents=True, exist_ok=True)
book = Path(words[1]) if len(words) > 1 else folder / "book.txt"
if len(words) < 2:
    book.write_text(help_text(), encoding="utf-8")
print(book.read_text(encoding="utf-8")[:200], "...")

# %% It is read once, eight sentences a step. What reminds nobody is forgotten after a while
from memoria import MemoriaConfig, MemoryStore
from memoria.backbones import default_backbone, load_backbone
from memoria.backbones.streams import InputStream

name = default_backbone()  # static, or hash where wordllama is not installed
config = MemoriaConfig(
    backbone=name,
    hidden_dim=load_backbone(name).dimension,
    wm_length=8,
    stm_capacity=64,
    initial_lifespan=20,
    rule="correlation:8",
)
with MemoryStore.create(folder / "memory", config) as store:
    store.step_stream(InputStream(config, [book], limit=80), progress=True)

# %% What it is now: in a notebook a store, a memory and answers show themselves
MemoryStore.open(folder / "memory")

# %% Questions; asking changes nothing
store = MemoryStore.open(folder / "memory")
store.ask(QUESTIONS[0], top=3)

# %% What it would be reminded of by a sentence that is read now
store.peek(load_backbone(name).encode(["An exception ends the loop."]))

# %% The map: engrams by meaning, with words on its parts
from memoria.analysis import analyse, open_chronicle
from memoria.plots import still

life = open_chronicle(folder / "memory")
still(analyse(life, "map", method="pca"))

# %% Who survives: the first and the latest
still(analyse(life, "survival"))

# %% What fires together: connections, in order of creation
still(analyse(life, "connections", limit=30))

# %% The same as data
life.to_pandas()["engrams"].nlargest(5, "fires")[["id", "created", "fires", "memory", "text"]]

# %% And as one page to look at
from memoria.report import write_report

life.close()
store.close()
made = write_report(folder / "memory", folder / "report.html", force=True)
print(f"{made['shown']} of {made['engrams']} engrams in report.html")
