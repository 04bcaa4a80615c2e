"""What can a person type?"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import re
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqm import __version__

if TYPE_CHECKING:  # imports that cost seconds are made by the command that needs them
    from sqm.run import Outcome

DONE, FAILED, WRONG, ALARM, INTERRUPTED = 0, 1, 2, 3, 130
FEW = 5  # failures of which each is told with how to mend it
PHASES = "define, measure, analyse, improve, control"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the number returned is the exit code.

    0 all done, 1 a study failed, 2 something to mend before anything runs,
    3 something fires (`watch`), 130 interrupted.
    """
    said = _parser().parse_args(arguments)
    from sqm.checks import Problem

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return said.command(said)
    except Problem as problem:
        _complain([problem])
        return WRONG
    except KeyboardInterrupt:
        _tell("Interrupted. Nothing half-written counts as finished; run again to go on.")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sqm", description="Service quality studies that regenerate themselves."
    )
    parser.add_argument("--version", action="version", version=f"sqm {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "carry out studies and write their reports")
    _takes_studies(run)
    _takes_changes(run)
    run.add_argument("--phase", default="define", metavar="NAME", help=f"begin with: {PHASES}")
    run.add_argument("--force", action="store_true", help="run what is unchanged as well")
    _takes_ways(run)

    watch = _command(commands, "watch", _watch, "run Control alone, and say what needs a reaction")
    _takes_studies(watch)
    _takes_changes(watch)
    watch.add_argument("--force", action="store_true", help="run it though nothing changed")
    _takes_ways(watch)

    freeze = _command(commands, "freeze", _freeze, "write proposed limits and cycles for good")
    freeze.add_argument("study", metavar="STUDY", help="a name in params/, or a path")
    freeze.add_argument("--who", required=True, metavar="NAME", help="who answers for it")
    freeze.add_argument("--why", required=True, metavar="REASON", help="the reason, in a few words")
    freeze.add_argument("--only", default="", metavar="LEDGER", help="limits or cycles")
    freeze.add_argument("--out", metavar="DIR", help="where the run was written")

    check = _command(commands, "check", _check, "say all that is wrong, and run nothing")
    _takes_studies(check)
    _takes_changes(check)

    opened = _command(commands, "open", _open, "write a study's notebooks, ready for JupyterLab")
    opened.add_argument("study", metavar="STUDY", help="a name in params/, or a path")
    _takes_changes(opened)

    new = _command(commands, "new", _new, "begin a study of your own files")
    new.add_argument("name", metavar="NAME", help="letters, digits, - and _")
    for table in ("survey", "complaints", "operations"):
        new.add_argument(f"--{table}", type=Path, metavar="FILE", help=f"your {table} table")

    scrub = _command(commands, "scrub", _scrub, "find what looks like personal data in outputs")
    scrub.add_argument("folder", type=Path, metavar="DIR", help="outputs to be shared")
    scrub.add_argument(
        "studies",
        nargs="*",
        metavar="STUDY",
        help="whose own tables to compare with (default: those that were run there)",
    )

    listed = _command(commands, "list", _list, "name the studies and how their last run ended")
    listed.add_argument("--out", metavar="DIR", help="where reports are (default: out)")
    return parser


def _command(commands, name: str, command, purpose: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:])
    parser.set_defaults(command=command)
    return parser


def _takes_studies(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("studies", nargs="+", metavar="STUDY", help="a name in params/, or a path")


def _takes_ways(parser: argparse.ArgumentParser) -> None:
    """How studies are carried out, which changes nothing in what they find."""
    parser.add_argument("--jobs", type=_whole, metavar="N", help="studies side by side")
    parser.add_argument("--cluster", default="", metavar="ADDRESS", help="a Dask scheduler's")
    for part, default in (("cell", 3600), ("notebook", 7200)):
        parser.add_argument(
            f"--{part}-limit",
            type=_whole,
            default=default,
            metavar="SECONDS",
            help=f"give a {part} up after so long (default: {default})",
        )


def _takes_changes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="where to write (default: out)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PHASE.NAME=VALUE",
        dest="changes",
        help="override a parameter of every study named, for example measure.confidence=0.9",
    )


def _whole(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; give 1 or more")
    return int(text)


# --- the commands -------------------------------------------------------------------------------


def _run(said: argparse.Namespace) -> int:
    outcomes = _carried_out(said, first=said.phase)
    return WRONG if outcomes is None else _close(outcomes)


def _carried_out(said: argparse.Namespace, *, first: str) -> list[Outcome] | None:
    """Carry the studies out from a phase on; None if something is to be mended before."""
    from sqm import run

    started = datetime.now(UTC)
    root, out, place = _destination(said)
    done = {} if said.force or place else _unchanged(said, first=first, root=root, out=out)
    rest = [study for study in said.studies if study not in done]
    jobs = said.jobs or run.jobs_for(len(rest))
    planned = functools.partial(
        run.plan,
        rest,
        root=root,
        out=out,
        first=first,
        changes=said.changes,
        force=said.force,
        cell_limit=said.cell_limit,
        notebook_limit=said.notebook_limit,
        taken=[outcome.study for outcome in done.values()],
        fetched=bool(place),
    )
    stopped: KeyboardInterrupt | None = None
    try:
        outcomes = _carry_out(planned, jobs, said.cluster, place) if rest else []
    except run.Interrupted as interrupt:
        stopped, outcomes = interrupt, interrupt.outcomes
    if outcomes is None:
        return None
    made = iter(outcomes)
    every = [done.get(study) or next(made) for study in said.studies]
    try:
        jobs = 0 if said.cluster else jobs
        run.record(every, out=out, started=started, jobs=jobs, where=said.cluster)
    except OSError as error:  # how each study ended is still said here
        _tell(f"batch.json could not be written: {error.strerror or error}")
    if stopped:
        _tell_failures([each for each in every if each.reason != run.STOPPED], len(every))
        raise stopped
    return every


def _unchanged(
    said: argparse.Namespace, *, first: str, root: Path, out: Path
) -> dict[str, Outcome]:
    """The studies of which nothing need be run again, without importing what a run needs."""
    from sqm import run, unchanged

    done = {}
    for study in (each for each in said.studies if said.studies.count(each) == 1):
        page = unchanged.whole(study, root=root, out=out, first=first, changes=said.changes)
        if page:
            _tell(f"{page.parent.name}  unchanged, not run again")
            done[study] = run.Outcome(page.parent.name, report=str(page), unchanged=True)
    return done


def _carry_out(plan: Callable, jobs: int, address: str, place: str) -> list[Outcome] | None:
    """Check what is planned and carry it out; None if something is to be mended before."""
    from sqm import run, warm

    with contextlib.ExitStack() as stack:
        server = None
        if not address and not warm.missing():
            with contextlib.suppress(OSError):  # without a folder for it, kernels start anew
                # it imports what notebooks need while the studies are being checked
                server = stack.enter_context(warm.Warm.start())
        planned, problems = plan()
        if problems:
            _complain(problems)
            return None
        from sqm.progress import Progress

        with Progress(planned.names, first=planned.first) as progress:
            if address:
                from sqm import cluster

                return cluster.run(planned, address=address, say=progress.show, place=place)
            return run.run(planned, jobs=jobs, say=progress.show, server=server, place=place)


def _tell_failures(outcomes: list[Outcome], count: int) -> bool:
    """Say which studies failed and why; whether any did."""
    failed = [outcome for outcome in outcomes if outcome.reason]
    if len(failed) > FEW:  # a table; the whole reasons stand in the studies' notebooks
        width = max(len(outcome.study) for outcome in failed)
        _tell(f"{len(failed)} of {count} studies failed (batch.json lists them too):")
        for outcome in failed:
            _tell(f"  {outcome.study:<{width}}  {outcome.reason.partition(chr(10))[0]}")
    else:
        for outcome in failed:
            _tell(f"{outcome.study} failed: {outcome.reason}")
    return bool(failed)


def _close(outcomes: list[Outcome]) -> int:
    failed = _tell_failures(outcomes, len(outcomes))
    for outcome in outcomes:
        if outcome.report:
            print(_safe(outcome.report))
    return FAILED if failed else DONE


def _watch(said: argparse.Namespace) -> int:
    outcomes = _carried_out(said, first="control")
    if outcomes is None:
        return WRONG
    _, out = _worked_in(said)
    ended = [_close(outcomes)]
    ended += [_tell_alerts(outcome.study, out) for outcome in outcomes if outcome.report]
    return next((code for code in (FAILED, ALARM) if code in ended), DONE)


def _tell_alerts(study: str, out: Path) -> int:
    """Say what fires in a study, a line each."""
    from sqm import freeze
    from sqm.checks import Problem

    try:
        table = freeze.alerts(study, out=out)
    except Problem as problem:  # silence would be taken for good news
        _complain([problem])
        return FAILED
    worse = table[table["state"] == "worse"]
    for row in worse.itertuples():
        who, what = row.owner or "nobody is named", row.reaction or "no reaction is laid down"
        told = f"{row.series} since {row.since}: {row.rule}. {who}: {what}"
        _tell(f"{study}: {' '.join(told.split())}")  # a line break could forge a line of its own
    if worse.empty:
        _tell(f"{study}: nothing needs a reaction.")
    return DONE if worse.empty else ALARM


def _freeze(said: argparse.Namespace) -> int:
    from sqm import freeze

    root, out = _worked_in(said)
    for frozen in freeze.freeze(
        said.study, root=root, out=out, who=said.who, why=said.why, only=said.only
    ):
        _tell(f"{frozen.path.stem}: {frozen.rows or 'no'} new rows.")
        print(_safe(str(frozen.path)))
    return DONE


def _check(said: argparse.Namespace) -> int:
    from sqm import run

    root, out = _places(said)
    planned, problems = run.plan(said.studies, root=root, out=out, changes=said.changes)
    if problems:
        _complain(problems)
        return WRONG
    _tell(f"Nothing to mend in {', '.join(planned.names)}.")
    return DONE


def _open(said: argparse.Namespace) -> int:
    from sqm import execute, parameters

    root, out = _places(said)
    found, problems = parameters.check(said.study, root=root, changes=said.changes)
    if problems:
        _complain(problems)
        return WRONG
    folder = out / found.study / "by-hand"
    execute.prepare(found, folder, root=root)
    _tell("Five notebooks are ready; open them with: jupyter lab " + str(folder))
    print(_safe(str(folder)))
    return DONE


def _new(said: argparse.Namespace) -> int:
    from sqm import draft, places

    root = places.find_root()
    written = draft.draft(
        said.name,
        survey=said.survey,
        complaints=said.complaints,
        operations=said.operations,
        root=root,
    )
    for path in (written.parameters, written.dictionary):
        print(_safe(str(path)))
    _tell(f"Read both, then run: sqm run {said.name}")
    return DONE


def _scrub(said: argparse.Namespace) -> int:
    from sqm import places, scrub

    lines, code = scrub.scrub(said.folder, root=places.find_root(), studies=said.studies)
    for line in lines:
        print(_safe(line))
    return code


def _list(said: argparse.Namespace) -> int:
    from sqm import parameters
    from sqm.checks import Problem

    root, out = _places(said)
    for path in sorted((root / "params").glob("*.yml")):
        try:
            found = parameters.load(path.stem, root=root)
            title = " ".join(found.title.split())  # a line break could forge a line of its own
            line = f"{found.study:<24} {_last_run(out / found.study):<28} {title}"
        except Problem as problem:
            line = f"{path.stem:<24} {'cannot be read':<28} {problem.what}"
        print(_safe(line))
    return DONE


def _last_run(place: Path) -> str:
    try:
        record = json.loads((place / "run.json").read_text(encoding="utf-8"))
        return f"finished {record['finished'][:16].replace('T', ' ')} UTC"
    except (OSError, ValueError, KeyError):
        return "unfinished" if place.is_dir() else "never run"


def _destination(said: argparse.Namespace) -> tuple[Path, Path, str]:
    """The project, the folder to write to, and the address to send to, blank if there is none."""
    if "://" not in (said.out or ""):
        return *_places(said), ""
    from sqm import deliver, places

    deliver.need_address(said.out)
    root = places.find_root()
    return root, places.out_folder(root).resolve(), said.out


def _worked_in(said: argparse.Namespace) -> tuple[Path, Path]:
    """The project, and the folder of this machine in which its studies were carried out."""
    root, out, place = _destination(said)
    if not place:
        return root, out
    from sqm import deliver

    return root, deliver.staging(place, out)


def _places(said: argparse.Namespace) -> tuple[Path, Path]:
    from sqm import places
    from sqm.checks import Problem

    if "://" in (said.out or ""):
        raise Problem(f"{said.out} is no folder of this machine.", "name a folder with --out.")
    root = places.find_root()
    out = Path(said.out).expanduser() if said.out else places.out_folder(root)
    return root, out.resolve()


# --- words --------------------------------------------------------------------------------------


def _complain(problems: Sequence) -> None:
    for problem in problems:
        _tell(f"Problem: {problem}")
    if len(problems) > 1:
        _tell(f"{len(problems)} problems; nothing was run.")


def _tell(text: str) -> None:
    print(_safe(text), file=sys.stderr, flush=True)


def _safe(text: str) -> str:
    """Data may stand in a message: no escape code of a terminal passes."""
    return re.sub(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]",
        "\N{REPLACEMENT CHARACTER}",
        text,
    )
