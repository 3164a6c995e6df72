"""A small network with a `Memoria`, and its memory as a store that goes on in another process.

The network reads sequences segment by segment and has to say which symbol came first, long ago.
Runs as a script, ``python examples/model_memory.py [FOLDER]``, and cell by cell (``# %%``).
"""

# %% The network: what it reads, its working memory and the reminded stand side by side
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from memoria import Abstractor, Memoria

SYMBOLS, LENGTH, SIZE, LANES = 6, 8, 32, 16


class Reader(nn.Module):
    """Segments [B, N] of symbols to logits [B, SYMBOLS]; remembers in between."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS + 1, SIZE)
        self.abstractor = Abstractor(num_memories=2, hidden_dim=SIZE, feedforward_dim=64)
        self.attention = nn.MultiheadAttention(SIZE, 4, batch_first=True)
        self.out = nn.Linear(SIZE, SYMBOLS)
        self.memoria = Memoria(2, 8, 3, 4, 4, track_id=True)

    def forward(self, segment: Tensor) -> Tensor:
        states = self.embed(segment)
        working = self.abstractor(states)
        self.memoria.add_working_memory(working)
        reminded, indices = self.memoria.remind()  # [B, R, D], [B, R]; -1 stands for none
        sources = torch.cat((states, working, reminded), dim=1)
        known = torch.zeros(sources.shape[:2], dtype=torch.bool)
        known[:, sources.shape[1] - indices.shape[1] :] = indices < 0
        mixed, weights = self.attention(
            states.mean(1, keepdim=True), sources, sources, key_padding_mask=known
        )
        looked_at = weights[:, 0, sources.shape[1] - indices.shape[1] :]
        self.memoria.adjust_lifespan_and_memories(indices, 8.0 * looked_at.detach())
        return self.out(mixed[:, 0])


# %% What it has to learn: the symbol that a sequence began with, asked three segments later
def sequences(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """(segments [T, B, N], answers [B]); the last segment is a question mark."""
    generator = torch.Generator().manual_seed(seed)
    answers = torch.randint(0, SYMBOLS, (count,), generator=generator)
    noise = torch.randint(0, SYMBOLS, (2, count, LENGTH), generator=generator)
    first = answers[:, None].expand(-1, LENGTH)
    asked = torch.full((count, LENGTH), SYMBOLS)
    return torch.stack((first, *noise, asked)), answers


torch.manual_seed(0)
reader = Reader()
optimizer = torch.optim.Adam(reader.parameters(), 3e-3)
for step in range(120):
    reader.memoria.reset_memory()
    segments, answers = sequences(LANES, step)
    for segment in segments:
        logits = reader(segment)
    loss = nn.functional.cross_entropy(logits, answers)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step + 1}: loss {loss.item():.3f}")

# %% Asked once more; then its memory becomes a store: `memoria inspect`, `plot`, `report` open it
from memoria.store import MemoryStore, load_memory, save_memory

named = [word for word in sys.argv[1:] if not word.startswith("-")]
folder = Path(named[0] if named and "ipykernel" not in sys.modules else tempfile.mkdtemp())
folder.mkdir(parents=True, exist_ok=True)
segments, answers = sequences(LANES, 10_000)
reader.memoria.reset_memory()
with torch.no_grad():
    for segment in segments[:-1]:
        reader(segment)
told = [{0: f"a segment of symbol {answer}"} for answer in answers.tolist()]  # engram 0 of each
save_memory(reader.memoria, folder / "memory", told, rule="uniform:2")
with MemoryStore.open(folder / "memory") as store:
    print(f"{store.config.lanes} lanes, step {store.timestep}, in {folder / 'memory'}")

# %% The network goes on from the store: the same answer as from the memory that it had
with torch.no_grad():
    expected = reader(segments[-1])
    reader.memoria = load_memory(folder / "memory", track_id=True)
    found = reader(segments[-1])
right = (found.argmax(-1) == answers).float().mean().item()
print(f"right: {right:.2f}, the same from the store: {torch.equal(expected, found)}")
