"""Human free recall: what 126 people recalled of lists of words, and what a memory does with them.

Runs as a script, ``python examples/free_recall.py [FOLDER]``, and as the notebook beside it.
Needs ``memoria-engrams[human,viz,train]``.
"""

# %% The people: 3,528 lists of 16 words, and the order in which each was recalled
import sys
import tempfile
from pathlib import Path

from memoria.experiments.freerecall.people import read_people

words = [] if "ipykernel" in sys.modules else sys.argv[1:]
folder = Path(words[0] if words else tempfile.mkdtemp())
folder.mkdir(parents=True, exist_ok=True)
people = read_people("peers")
print(f"{len(set(people.subjects))} people, {len(people.orders):,} lists of {people.length} words")
print("the first list, as it was recalled:", *people.orders[0])

# %% Their curves: how often a word is recalled by its place, and how far apart neighbours are
from memoria.experiments.freerecall.curves import curves_of

human = curves_of(people.of_half(1))
print("recalled, first to last word:", *human.means()["serial"].round(2))
print(
    "next recalled, one place on or back:", *(human.at_lag(lag).mean().round(2) for lag in (1, -1))
)

# %% A memory reads lists too; constants of its recall are fitted on the other half of the people
from tqdm.auto import tqdm

from memoria.experiments.freerecall.experiment import FreeRecall
from memoria.experiments.freerecall.process import fit, recall_lists
from memoria.experiments.freerecall.traces import learn

settings = FreeRecall.Config.presets["paper"]["memory"]
curves = {"people": human}
for model in tqdm(("memoria", "none"), desc="memories"):
    traces = learn(model, 64, people.length, settings, seed=0)
    constants = fit(people.of_half(0), traces)
    curves[model] = curves_of(recall_lists(people.of_half(1), traces, constants, seed=0))

# %% How far each is from people: the root mean square of the differences of the curves
from memoria.experiments.freerecall.curves import distance

for model in ("memoria", "none"):
    print(f"{model}: {distance(curves[model], human):.3f}")

# %% The curves side by side
from memoria.experiments.panels import Panels
from memoria.plots import Still

panels, length = Panels(2), people.length
for number, (model, found) in enumerate(curves.items()):
    means = found.means()
    panels.add_curves(0, [(range(1, length + 1), means["serial"].tolist())], number, model)
    near = means["crp"][length - 7 : length + 6].tolist()
    near[6] = None  # no word follows itself
    panels.add_curves(1, [(range(-6, 7), near)], number, model)
panels.finish(0, "recalled", "place in the list")
panels.finish(1, "recalled next (conditional)", "lag")
panels.write(folder / "curves.png")
Still.of_file(
    folder / "curves.png",
    "Two plots with a curve each of people, of Memoria and of a memory without connections. People "
    "recall first and last words best, the memories the last ones only. Next, people and Memoria "
    "recall a word near the one recalled; without connections any word is as likely.",
)
