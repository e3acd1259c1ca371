"""One self-contained page of the whole lecture: results/report.html."""

import base64
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import tyro
from markupsafe import Markup

from experiments import common
from experiments.report.checks import SIGMAS, Checked, check_rows
from experiments.report.lecture_numbers import ROWS
from vijax.plot import style

TEMPLATES = Path(__file__).parent / "templates"


class Section(NamedTuple):
    """A section of the report: one experiment."""

    experiment: str
    title: str
    rows: str  # the lecture's rows that it covers


class Part(NamedTuple):
    """A part of the report."""

    title: str
    sections: tuple[Section, ...]
    is_lecture: bool = True  # else shown where its experiments have been run


class Environment(NamedTuple):
    """Versions and device that some of the results were made with."""

    about: dict[str, Any]
    experiments: list[str]
    last_started: str


PARTS = (
    Part(
        "Bayesian statistics",
        (
            Section("bayes_theorem", "Probability and Bayes’ theorem", "L1–L3"),
            Section("coin_flip", "A coin, both ways", "L4–L9"),
            Section("prior_sweep", "Which conclusions survive the prior?", "L7–L9"),
            Section("poisson_sensors", "Two Poisson sensors", "L10–L11"),
        ),
    ),
    Part(
        "Variational inference",
        (
            Section("vi_vs_mcmc", "Sampling or optimising", "L12"),
            Section("elbo", "The evidence lower bound", "L13–L16"),
        ),
    ),
    Part(
        "Autoencoders",
        (
            Section("autoencoder", "The autoencoder and its gaps", "L17–L19"),
            Section("vae", "The variational autoencoder", "L20–L24"),
            Section("use_cases", "Three uses", "L25"),
        ),
    ),
    Part(
        "Beyond the lecture",
        (
            Section("limit_coverage", "Do limits keep their promise?", "L4–L6"),
            Section("workflow", "From a table to a decision", "L4–L16"),
            Section("template_fit", "A template fit, three ways", "L6–L16"),
            Section("verdict_benchmark", "Is the verdict right?", "L12–L16"),
            Section("advi_benchmark", "Variational fits, held to the truth", "L12–L16"),
            Section("posterior_gallery", "What q looks like", "L12–L16"),
            Section("anomaly_detection", "Anomaly detection in depth", "L25"),
            Section("compression", "Compression in depth", "L25"),
            Section("generation", "Generation in depth", "L25"),
            Section("iwae", "Importance-weighted bounds", "L20"),
            Section("learned_priors", "Learned priors", "L20"),
        ),
        is_lecture=False,
    ),
)
SECTIONS = tuple(section for part in PARTS for section in part.sections)


@dataclass(frozen=True)
class Config:
    """Where the results are."""

    results: Path = Path("results")


def read_results(results: Path) -> dict[str, dict[str, Any]]:
    """Return the record of each experiment that has been run."""
    records = {}
    for section in SECTIONS:
        path = results / section.experiment / "metrics.json"
        if not path.is_file():
            continue
        try:
            records[section.experiment] = json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(
                f"{path} is not valid JSON ({error}): delete it and run "
                f"make {section.experiment.replace('_', '-')} again"
            ) from error
    return records


def check_results(results: Path) -> list[Checked]:
    """Hold every number that is in the results against the lecture."""
    return check_rows(read_results(results), ROWS)


def verdict(rows: list[Checked]) -> str:
    """Say in one line how many of the lecture's numbers agree."""
    agree = sum(row.agrees for row in rows)
    return f"{agree} of {len(rows)} numbers agree with the lecture"


def write(results: Path) -> Path:
    """Write results/report.html from what the experiments have left there."""
    records = read_results(results)
    if not records:
        raise ValueError(f"no results in {results}: run make lecture first")
    bodies = {name: render_section(results, records[name]) for name in records}
    rows = check_rows(records, ROWS)
    page = (
        _templates()
        .get_template("report.html")
        .render(
            parts=PARTS,
            records=records,
            bodies=bodies,
            rows=rows,
            verdict=verdict(rows),
            sigmas=SIGMAS,
            environments=environments(records),
            seconds=sum(
                record["environment"]["seconds"] for record in records.values()
            ),
        )
    )
    path = results / "report.html"
    common.write_text(path, page)
    return path


def environments(records: dict[str, dict[str, Any]]) -> list[Environment]:
    """Return each environment that results were made in, with its experiments."""
    grouped: dict[str, list[str]] = {}
    for name, record in records.items():
        about = record["environment"].items()
        lasting = {k: v for k, v in about if k not in ("started", "seconds")}
        grouped.setdefault(json.dumps(lasting, sort_keys=True), []).append(name)
    return [
        Environment(
            records[names[0]]["environment"],
            names,
            max(records[name]["environment"]["started"] for name in names),
        )
        for names in grouped.values()
    ]


def render_section(results: Path, record: dict[str, Any]) -> Markup:
    """Return one experiment's text with its figures and numbers."""
    name = record["experiment"]

    def figure(stem: str, caption: str) -> Markup:
        png = (results / name / f"{stem}.png").read_bytes()
        inches = int.from_bytes(png[16:20], "big") / style.RC["savefig.dpi"]
        return Markup(
            '<figure><div class="pan"><img style="--inches: {:.1f}" alt="{}" '
            'src="data:image/png;base64,{}"></div><figcaption>{}</figcaption></figure>'
        ).format(inches, caption, Markup(base64.b64encode(png).decode()), caption)

    try:
        template = _templates().get_template(f"{name}.html")
        return Markup(
            template.render(
                m=record["metrics"],
                config=record["config"],
                dataset=record["dataset"],
                figure=figure,
            )
        )
    except (jinja2.UndefinedError, FileNotFoundError) as error:
        raise ValueError(
            f"the results of {name} are from another version ({error}): "
            f"run make {name.replace('_', '-')} again"
        ) from error


@lru_cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["significant"] = _significant
    return environment


def _significant(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}g}"


def main() -> None:
    """Write the report from the command line."""
    config = tyro.cli(Config, prog="python -m experiments.report", description=__doc__)
    with common.errors_in_one_line("report"):
        path = write(config.results)
        print(f"{verdict(check_results(config.results))}; wrote {path}")


if __name__ == "__main__":
    main()
