"""Reading experiment files: TOML in, a checked `Experiment` out.

A file with ``extends = "NAME"`` says only what is different from the shipped experiment of that name. Each of its keys
takes the place of the one there. Of ``models`` there are all that are there and not named in ``without``; a [[models]]
of the same name changes the keys that it has, and one of another name comes after them.
"""

from __future__ import annotations

import textwrap
from importlib import resources
from pathlib import Path
from typing import Any

from fastautorec._checks import metric_names
from fastautorec._compute.protocol import DEFINITIONS
from fastautorec.data._layouts import FORMATS
from fastautorec.data._missing import MISSING
from fastautorec.data._repeats import REPEATS
from fastautorec.data._splits import shares
from fastautorec.evaluation._evaluate import DEFAULT_K
from fastautorec.experiments import _schema as schema
from fastautorec.experiments._config import (
    FITS,
    OF_ROWS,
    SEEDS,
    SOURCES,
    WORDS,
    Dataset,
    Entry,
    Experiment,
    File,
    Published,
    Tuning,
)
from fastautorec.experiments._zoo import check_model

PARTS = ("train", "validation", "test")
_FOLDER = resources.files("fastautorec.experiments") / "configs"


def shipped() -> tuple[str, ...]:
    """Return the names of the experiments that come with the library."""
    return tuple(sorted(file.name[: -len(".toml")] for file in _FOLDER.iterdir() if file.name.endswith(".toml")))


def read_experiment(path: str) -> Experiment:
    """Read an experiment file, or the shipped one of that name.

    Raises
    ------
    FileNotFoundError
        If there is neither.
    ValueError
        If it is not TOML, or says something that is not known or not possible.
    ImportError
        On Python 3.10 without tomli.
    """
    file = Path(path)
    if file.suffix != ".toml" and path in shipped():
        text = _shipped_text(path)
    elif file.is_file():
        try:
            text = file.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}: is not UTF-8 text (byte {error.start:,} is none of it); save it as UTF-8"
            ) from None
    else:
        raise FileNotFoundError(f"no experiment file {path}; shipped are {', '.join(shipped())}")
    try:
        return parse(text, default_name=file.stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def parse(text: str, default_name: str) -> Experiment:
    """Return the experiment that a text in TOML describes."""
    top = _read_top(text)
    evaluation = schema.read_table(top.get("evaluation", {}), "[evaluation]", _EVALUATION)
    figures = schema.read_table(top.get("figures", {}), "[figures]", {"models": schema.several(schema.text)})
    k = tuple(sorted(evaluation["k"])) if "k" in evaluation else None
    definition = evaluation.get("definition", DEFINITIONS[0])
    known = tuple(metric_names(k or DEFAULT_K, definition))
    datasets = tuple(_dataset(table, place) for place, table in enumerate(top["datasets"], 1))
    models = tuple(_entry(table, place, top.get("seeds", SEEDS)) for place, table in enumerate(top["models"], 1))
    published = tuple(_published(table, place, known) for place, table in enumerate(top.get("published", ()), 1))
    name = top.get("name", default_name)
    experiment = Experiment(
        name=name,
        title=top.get("title", name),
        note=top.get("note", ""),
        datasets=datasets,
        models=models,
        published=published,
        k=k,
        definition=definition,
        metrics=evaluation.get("metrics"),
        drawn=figures.get("models", ()),
        text=top["text"],
    )
    _check_names(experiment, known)
    return experiment


# --- the tables ------------------------------------------------------------------------------------------------------

_TABLES = schema.several(schema.table, distinct=False)
_TOP: dict[str, schema.Check] = {
    "extends": schema.one_of(*shipped()),
    "without": schema.several(schema.text),
    "name": schema.text,
    "title": schema.text,
    "note": schema.text,
    "seeds": schema.several(schema.seed),
    "evaluation": schema.table,
    "figures": schema.table,
    "datasets": _TABLES,
    "models": _TABLES,
    "published": _TABLES,
}
_EVALUATION: dict[str, schema.Check] = {
    "k": schema.several(schema.count),
    "definition": schema.one_of(*DEFINITIONS),
    "metrics": schema.several(schema.text),
}
_DATASET: dict[str, schema.Check] = {
    "name": schema.text,
    "source": schema.one_of(*SOURCES),
    "path": schema.text,
    "get": schema.text,
    "files": _TABLES,
    "format": schema.one_of(*FORMATS),
    "user": schema.column,
    "item": schema.column,
    "rating": schema.column_or_none,
    "timestamp": schema.column_or_none,
    "sep": schema.character,
    "header": schema.flag,
    "threshold": schema.number,
    "repeats": schema.one_of(*REPEATS),
    "missing": schema.one_of(*MISSING),
    "parts": schema.table,
    "by": schema.one_of("time", "random"),
    "ratios": schema.several(schema.number, len(PARTS), distinct=False),
    "seed": schema.seed,
    "sample_users": schema.count,
    "users": schema.count,
    "items": schema.count,
    "interactions": schema.count,
    "tolerance": schema.number,
}
_FILE: dict[str, schema.Check] = {"path": schema.text, "bytes": schema.count, "lines": schema.count}
_MODEL: dict[str, schema.Check] = {
    "name": schema.text,
    "class": schema.text,
    "params": schema.table,
    "paper": schema.flag,
    "fit": schema.one_of(*FITS),
    "seeds": schema.several(schema.seed),
    "group": schema.text,
    "datasets": schema.several(schema.text),
    "published": schema.text,
    "sweep": schema.table,
    "tune": schema.table,
}
_TUNING: dict[str, schema.Check] = {"trials": schema.count, "space": schema.table}
_PUBLISHED: dict[str, schema.Check] = {
    "dataset": schema.text,
    "source": schema.text,
    "metrics": schema.several(schema.text),
    "rows": schema.table,
}


def _load(text: str) -> Any:
    try:
        import tomllib  # noqa: PLC0415
    except ImportError:  # Python 3.10
        try:
            import tomli as tomllib  # noqa: PLC0415
        except ImportError as error:
            raise ImportError(
                "experiment files need tomli on Python 3.10; pip install 'fastautorec[experiments]'"
            ) from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not a TOML file: {error}") from None


def _shipped_text(name: str) -> str:
    return (_FOLDER / f"{name}.toml").read_text("utf-8")


def _read_top(text: str) -> dict[str, Any]:
    """Return the checked keys of a file and its text, together with those of the one that it extends."""
    table = _load(text)
    extends = "extends" in table
    if "without" in table and not extends:
        raise ValueError("the file must not have the key `without`, which leaves out models of the one that it extends")
    own = schema.read_table(table, "the file", _TOP, () if extends else ("datasets", "models"))
    if not extends:
        return {**own, "text": text}
    base = _read_top(_shipped_text(own["extends"]))
    models = list(base["models"])
    for name in own.get("without", ()):
        names = [model["name"] for model in models]
        if name not in names:
            raise ValueError(f"`without` of the file names no model {name!r}; {schema.nearest(name, names)}")
        del models[names.index(name)]
    places = {model["name"]: place for place, model in enumerate(models)}
    for model in own.get("models", ()):
        place = places.pop(str(model.get("name")), None)  # one that is there twice is added, and refused later
        if place is None:
            models.append(model)
        else:
            models[place] = {**models[place], **model}
    what = textwrap.indent(f"{own['extends']}:\n{base['text']}", "# ", lambda line: True)
    return {**base, **own, "models": tuple(models), "text": f"{text}\n{what}"}


def _dataset(table: Any, place: int) -> Dataset:
    where = _where("datasets", table, place)
    values = schema.read_table(table, where, _DATASET, ("name", "source"))
    if values["source"] != "example" and "path" not in values:
        raise ValueError(f"{where} must have the key `path`, since its source is a file")
    for word in WORDS:
        if word in values and values["source"] != "ratings":
            raise ValueError(f"{where} must not have the key `{word}`, which tells how to read source = 'ratings'")
    for word in OF_ROWS:
        if word in values and values["source"] not in ("ratings", "arrays"):
            raise ValueError(
                f"{where} must not have the key `{word}`, which tells how to take the rows of source = 'ratings' or "
                "'arrays'"
            )
    if "files" in values:
        files = (schema.read_table(file, f"`files` of {where}", _FILE, ("path",)) for file in values["files"])
        values["files"] = tuple(File(**file) for file in files)
    if "parts" in values:
        parts = schema.read_table(values["parts"], f"`parts` of {where}", dict.fromkeys(PARTS, schema.text), PARTS)
        values["parts"] = tuple(parts[part] for part in PARTS)
    if "ratios" in values and len(values["ratios"]) != len(PARTS):
        raise ValueError(f"`ratios` of {where} must be three numbers: train, validation, test")
    if "ratios" in values:
        try:
            values["ratios"] = shares(values["ratios"])
        except ValueError as error:
            raise ValueError(f"{where}: {error}, or whole numbers such as [1, 1, 1]") from None
    return Dataset(**values)


def _entry(table: Any, place: int, seeds: tuple[int, ...]) -> Entry:
    where = _where("models", table, place)
    values = schema.read_table(table, where, _MODEL, ("name", "class"))
    values["cls"] = values.pop("class")
    rule = schema.several(_plain, 2)
    sweep = schema.read_table(
        values.pop("sweep", {}), f"`sweep` of {where}", dict.fromkeys(table.get("sweep", ()), rule)
    )
    if "tune" in values:
        values["tune"] = _tuning(values["tune"], where)
        if values.get("fit", FITS[0]) == "all":
            raise ValueError(f"{where} must have fit = 'refit' or 'stop', since `tune` needs the validation data")
    entry = Entry(**{"seeds": seeds, **values, "sweep": sweep})
    try:
        check_model(entry.cls, entry.params, entry.paper)
        for name, choices in sweep.items():
            for value in choices:
                check_model(entry.cls, {**entry.params, name: value}, entry.paper)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from None
    return entry


def _tuning(table: Any, where: str) -> Tuning:
    values = schema.read_table(table, f"`tune` of {where}", _TUNING)
    space = values.get("space")
    if space is not None:
        checked = schema.read_table(space, f"`space` of {where}", dict.fromkeys(space, _candidates))
        values["space"] = checked
    return Tuning(**values)


def _candidates(value: Any) -> Any:
    """Take a list of choices, or a range { low = 0.1, high = 10, log = true }; return what `tune` wants."""
    if isinstance(value, list):
        return list(schema.several(_plain)(value))
    rules = {"low": schema.number, "high": schema.number, "log": schema.flag}
    bounds = schema.read_table(value, "a range", rules, ("low", "high"))
    ends = bounds["low"], bounds["high"]
    return (*ends, "log") if bounds.get("log") else ends


def _plain(value: Any) -> Any:
    if not isinstance(value, (int, float, str)):
        raise ValueError(f"must hold numbers or texts, got {value!r}")
    return value


def _published(table: Any, place: int, known: tuple[str, ...]) -> Published:
    where = f"[[published]] number {place}"
    values = schema.read_table(table, where, _PUBLISHED, ("dataset", "source", "metrics", "rows"))
    for metric in values["metrics"]:
        if metric not in known:
            raise ValueError(f"`metrics` of {where}: {metric!r} is not measured; {schema.nearest(metric, known)}")
    rows = {}
    for model, figures in values["rows"].items():
        if not isinstance(figures, list) or len(figures) != len(values["metrics"]):
            raise ValueError(f"`rows` of {where} must have {len(values['metrics'])} figures for {model}")
        rows[model] = dict(zip(values["metrics"], map(_figure, figures), strict=True))
    return Published(values["dataset"], values["source"], rows)


def _figure(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"a published figure must be [mean, half-width], got {value!r}")
    return schema.number(value[0]), schema.number(value[1])


def _where(kind: str, table: Any, place: int) -> str:
    name = table.get("name") if isinstance(table, dict) else None
    return f"[[{kind}]] {name!r}" if isinstance(name, str) else f"[[{kind}]] number {place}"


def _check_names(experiment: Experiment, known: tuple[str, ...]) -> None:
    """Raise where a name is used twice, or something is named that is not there."""
    names = [dataset.name for dataset in experiment.datasets]
    if len(set(names)) < len(names):
        raise ValueError("two [[datasets]] have the same name")
    for metric in experiment.metrics or ():
        if metric not in known:
            raise ValueError(f"`metrics` of [evaluation]: {metric!r} is not measured; {schema.nearest(metric, known)}")
    models = [entry.name for entry in experiment.models]
    for name in experiment.drawn:
        if name not in models:
            raise ValueError(f"[figures] names no model {name!r}; {schema.nearest(name, models)}")
    for entry in experiment.models:
        for name in entry.datasets:
            if name not in names:
                raise ValueError(f"[[models]] {entry.name!r} names no data set {name!r}; {schema.nearest(name, names)}")
    for published in experiment.published:
        if published.dataset not in names:
            raise ValueError(
                f"[[published]] names no data set {published.dataset!r}; {schema.nearest(published.dataset, names)}"
            )
    for name in names:
        rows = [entry.name for entry in experiment.entries(name)]
        if len(set(rows)) < len(rows):
            twice = next(row for row in rows if rows.count(row) > 1)
            raise ValueError(f"two [[models]] are called {twice!r} on {name}")
