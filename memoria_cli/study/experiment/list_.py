"""`memoria experiment list`: what can be run."""

from __future__ import annotations

from typing import Annotated, Any

from memoria_cli.options import Json, argument
from memoria_cli.terminal import output
from memoria_cli.verbs import verb


@verb(
    "list",
    "memoria experiment list",
    "memoria experiment list sorting --json",
    "memoria experiment list memoria",
)
def list_(
    name: Annotated[
        str | None, argument("[NAME]", "One of them, or of the models, with all its settings.")
    ] = None,
    json: Json = False,
) -> None:
    """List the experiments and models, or the settings of one.

    Those of an experiment come with the values of its presets; those of a model are given as
    settings.MODEL.KEY=VALUE.
    """
    from memoria.experiments import EXPERIMENTS, find_experiment
    from memoria.experiments.rivals import RIVALS

    if name is not None and name in RIVALS and name not in EXPERIMENTS:
        model = _model(RIVALS[name], True)
        output.result({"experiments": [], "models": [model]}, _model_settings(model), json)
        return
    names = list(EXPERIMENTS) if name is None else [name]
    records = [_record(one, find_experiment(one)) for one in names]
    document: dict[str, Any] = {"experiments": records}
    document["models"] = [_model(one) for one in RIVALS.values()]
    human: list[output.Part]
    if name is None:
        columns: dict[str, output.Column] = {
            "name": "name",
            "presets": lambda one: ", ".join(one["presets"]),
            "what it does": "summary",
        }
        models = {"name": "name", "what it is": "summary"}
        human = [
            output.table("experiments", records, columns),
            output.table("models", document["models"], models),
        ]
    else:
        human = _settings(records[0])
    output.result(document, human, json)


def _record(name: str, experiment: Any) -> dict[str, Any]:
    kind = experiment.Config
    presets = {one: kind.preset(one).model_dump(mode="json") for one in kind.presets}
    return {
        "name": name,
        "summary": experiment.summary,
        "presets": list(presets),
        "metrics": [
            {"name": one.name, "title": one.title, "better": one.better}
            for one in experiment.metrics
        ],
        "settings": [
            {
                "name": key,
                "description": field.description,
                "values": {one: values[key] for one, values in presets.items()},
            }
            for key, field in kind.model_fields.items()
        ],
    }


def _model(model: Any, with_settings: bool = False) -> dict[str, Any]:
    """A model, and its own settings where they are asked for: its class must be loaded then."""
    about = {"name": model.name, "summary": model.summary, "extra": model.extra, "settings": None}
    if with_settings:
        about["settings"] = [
            {"name": key, "description": field.description, "value": field.default}
            for key, field in model.model_class().settings_class.model_fields.items()
        ]
    return about


def _model_settings(model: dict[str, Any]) -> list[output.Part]:
    rows = [(one["name"], _short(one["value"]), one["description"]) for one in model["settings"]]
    about = f"{model['name']}: {model['summary']}"
    if not rows:
        return [about, "it has no settings of its own"]
    title = f"settings.{model['name']}.KEY=VALUE"
    return [about, output.Table(title, ("key", "value", "what it is"), rows)]


def _settings(record: dict[str, Any]) -> list[output.Part]:
    columns = ("setting", *record["presets"], "what it is")
    rows = [
        (one["name"], *[_short(value) for value in one["values"].values()], one["description"])
        for one in record["settings"]
    ]
    metrics = [f"{one['name']} ({one['title']})" for one in record["metrics"]]
    about = [f"{record['name']}: {record['summary']}", f"ends with: {', '.join(metrics)}"]
    return [*about, output.Table("settings", columns, rows)]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return " ".join(value) or "-"
    return "-" if value is None else str(value)
