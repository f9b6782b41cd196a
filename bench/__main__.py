"""The one command: `python -m bench`, or one of its parts; `--help` tells which."""

import argparse
import json
import sys

from handrail.errors import HandrailError

from bench import api, autogenerate, chain, commands, drift, rehearse, report, review, start
from bench.faults import run_faults
from bench.measure import BenchError

DATABASE_HINT = (
    "What counts here is HANDRAIL_SCRATCH_URL, a PostgreSQL on which databases may be created and dropped; "
    "without it an embedded one is used."
)


def main() -> int:
    """Measure what was asked for, print it and return the exit code: no figure makes it other than 0."""
    options = parse_options()
    try:
        if options.benchmark == "faults":
            return run_faults(options)
        print_results(options)
    except HandrailError as error:
        print(f"error: nothing was measured, for want of a database: {error} {DATABASE_HINT}", file=sys.stderr)
        return error.exit_code
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure this project next to its peers.")
    parser.add_argument(
        "benchmark",
        nargs="?",
        choices=["all", "api", "autogenerate", "chain", "commands", "drift", "faults", "rehearse", "review", "start"],
        default="all",
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and no project with 1,000 models")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="how to print it")
    parser.add_argument("--models", type=int, nargs="+", help="sizes of the projects, in place of the usual ones")
    parser.add_argument("--rounds", type=int, help="how often everything is measured after the warm-up")
    parser.add_argument("--only", nargs="+", help="kinds of faults, in place of all")
    parser.add_argument("--jobs", type=int, default=2, help="how many rounds of faults at the same time")
    return parser.parse_args()


def print_results(options: argparse.Namespace) -> None:
    texts, values = [report.machine_line()], dict[str, object](machine=report.machine())
    if options.benchmark in ("all", "commands"):
        sizes = commands.QUICK_SIZES if options.quick else commands.SIZES
        rounds = options.rounds or (commands.QUICK_ROUNDS if options.quick else commands.ROUNDS)
        comparisons = commands.compare_commands(tuple(options.models or sizes), rounds)
        texts.append(report.commands_table(comparisons))
        values["commands"] = report.commands_json(comparisons)
    if options.benchmark in ("all", "chain"):
        length = chain.QUICK_LENGTH if options.quick else chain.LENGTH
        chains = chain.compare_chain(length, options.rounds or chain.ROUNDS)
        texts.append(report.commands_table(chains))
        values["chain"] = report.commands_json(chains)
    if options.benchmark in ("all", "autogenerate"):
        models = options.models or (autogenerate.QUICK_SIZES if options.quick else autogenerate.SIZES)
        rounds = options.rounds or (autogenerate.QUICK_ROUNDS if options.quick else autogenerate.ROUNDS)
        scenarios = autogenerate.measure_autogenerate(tuple(models), rounds, quick=options.quick)
        texts.append(report.autogenerate_table(scenarios))
        values["autogenerate"] = report.autogenerate_json(scenarios)
    if options.benchmark in ("all", "review"):
        reviews = review.measure_review(options.rounds or (review.QUICK_ROUNDS if options.quick else review.ROUNDS))
        texts.append(report.review_table(reviews))
        values["review"] = report.review_json(reviews)
    if options.benchmark in ("all", "rehearse"):
        rounds = options.rounds or (rehearse.QUICK_ROUNDS if options.quick else rehearse.ROUNDS)
        rehearsals = rehearse.measure_rehearsals(tuple(options.models or rehearse.SIZES), rounds)
        texts.append(report.rehearse_table(rehearsals))
        values["rehearse"] = report.rehearse_json(rehearsals)
    if options.benchmark in ("all", "drift"):
        tables = options.models or (drift.QUICK_SIZES if options.quick else drift.SIZES)
        rounds = options.rounds or (drift.QUICK_ROUNDS if options.quick else drift.ROUNDS)
        edited = drift.measure_drift(tuple(tables), rounds)
        texts.append(report.drift_table(edited))
        values["drift"] = report.drift_json(edited)
    if options.benchmark in ("all", "start"):
        starts = start.measure_starts(options.rounds or (start.QUICK_ROUNDS if options.quick else start.ROUNDS))
        texts.append(report.start_table(starts))
        values["start"] = report.start_json(starts)
    if options.benchmark in ("all", "api"):
        rounds = options.rounds or (api.QUICK_ROUNDS if options.quick else api.ROUNDS)
        servers = api.measure_api(rounds, api.QUICK_SECONDS if options.quick else api.SECONDS)
        texts.append(report.api_table(servers))
        values["api"] = report.api_json(servers)
    print(json.dumps(values, indent=2) if options.format == "json" else "\n\n".join(texts))


if __name__ == "__main__":
    sys.exit(main())
