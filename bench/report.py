"""Show what was measured: as tables for people, or as JSON with all times in milliseconds."""

import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from statistics import median, quantiles

from bench.api import LOGIN_CLIENTS, Load, Served
from bench.autogenerate import STOCK, Scenario
from bench.commands import Comparison
from bench.drift import GOAL as DRIFT_GOAL
from bench.drift import GOAL_SECONDS as DRIFT_SECONDS
from bench.drift import Found
from bench.measure import Cost
from bench.rehearse import GOAL_SECONDS, ROWS, Rehearsed
from bench.review import SECONDS, Reviewing
from bench.servers import BARE, ME, OURS, PAGE, PEER
from bench.start import Start

DISTRIBUTIONS = ("alembic", "sqlalchemy", "asyncpg", "fastapi", "uvicorn")


def machine() -> dict[str, str | int | None]:
    """Return what the figures depend on beside our code."""
    about = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    return {"cpus": os.cpu_count(), **about, **{name: version(name) for name in DISTRIBUTIONS}}


def machine_line() -> str:
    return ", ".join(f"{value} {name}" if name == "cpus" else f"{name} {value}" for name, value in machine().items())


def commands_table(comparisons: Sequence[Comparison]) -> str:
    """Return medians in milliseconds, and the CPU time of ours divided by stock's."""
    header = ("models", "alembic …", "CPU stock", "ours", "ratio", "each round", "goal", "wall stock", "ours")
    return "\n".join(
        [
            aligned([header, *map(comparison_row, comparisons)]),
            "",
            f"Medians of {len(comparisons[0].ours)} rounds, in milliseconds; CPU is a process's user + system time.",
            "For plain `history` and `heads` Alembic runs no env.py, so both sides do the same.",
        ]
    )


def comparison_row(comparison: Comparison) -> tuple[str, ...]:
    low, high = comparison.spread
    return (
        f"{comparison.tables:,}",
        comparison.command,
        *(f"{milliseconds(costs)['cpu_ms']:.0f}" for costs in (comparison.stock, comparison.ours)),
        f"{comparison.ratio:.2f}",
        f"{low:.2f}-{high:.2f}",
        "" if comparison.goal is None else f"<= {comparison.goal:.2f}",
        *(f"{milliseconds(costs)['wall_ms']:.0f}" for costs in (comparison.stock, comparison.ours)),
    )


def commands_json(comparisons: Sequence[Comparison]) -> list[dict[str, object]]:
    return [
        {
            "tables": comparison.tables,
            "command": comparison.command,
            "stock": milliseconds(comparison.stock),
            "ours": milliseconds(comparison.ours),
            "cpu_ratio": round(comparison.ratio, 3),
            "cpu_ratio_of_rounds": [round(ratio, 3) for ratio in comparison.spread],
            "goal": comparison.goal,
        }
        for comparison in comparisons
    ]


def autogenerate_table(scenarios: Sequence[Scenario]) -> str:
    """Return a line for each of our sides next to each of stock's; CPU of whole commands, and beyond the import."""
    header = ("models", "alembic …", "ours", "stock", "import", "CPU stock", "ours", "ratio", "beyond import", "goal")
    rows = [row for scenario in scenarios for row in scenario_rows(scenario)]
    return "\n".join(
        [
            aligned([header, *rows]),
            "",
            "Medians in milliseconds. `import`: of the models in a process of their own; `beyond import`: the ratio",
            "without that. The goal is for the ratio where nothing changed, otherwise for the one beyond the import.",
        ]
    )


def scenario_rows(scenario: Scenario) -> Iterator[tuple[str, ...]]:
    what = f"{scenario.what}{', ' * bool(scenario.about)}{scenario.about}"
    imported = "import" in scenario.costs
    for side in (side for side in scenario.costs if side not in (*STOCK, "import", "import, no gc")):
        for peer in STOCK:
            ours, stock = scenario.cpu(side), scenario.cpu(peer)
            net = scenario.cpu(side, beyond_import=True) / scenario.cpu(peer, beyond_import=True) if imported else None
            goal = scenario.goal(side, peer)
            yield (
                f"{scenario.tables:,}",
                what,
                side,
                peer,
                f"{scenario.cpu('import') * 1000:.0f}" if imported else "",
                f"{stock * 1000:.0f}",
                f"{ours * 1000:.0f}",
                f"{ours / stock:.2f}",
                "" if net is None else f"{net:.2f}",
                "" if goal is None else f"<= {goal:.2f}",
            )


def autogenerate_json(scenarios: Sequence[Scenario]) -> list[dict[str, object]]:
    return [
        {
            "tables": scenario.tables,
            "command": scenario.what,
            "about": scenario.about,
            "costs": {side: milliseconds(costs) for side, costs in scenario.costs.items()},
        }
        for scenario in scenarios
    ]


def drift_table(edited: Sequence[Found]) -> str:
    """Return medians in milliseconds, and how many times the CPU time the others take."""
    header = ("tables", "", "CPU", "times", "goal", "wall", "goal")
    rows = []
    for found in edited:
        for name, costs in (
            ("drift, 5 edits", found.ours),
            ("drift, all read", found.whole),
            ("compare_metadata", found.alembic),
            ("MetaData.reflect", found.reflected),
        ):
            cost, ours = milliseconds(costs), costs is found.ours
            ratio = "" if ours else f"{found.ratio(costs):.1f}"
            goal = f">= {DRIFT_GOAL}" if costs is found.alembic else ""
            limit = f"<= {DRIFT_SECONDS * 1000:.0f}" if ours else ""
            rows.append(
                (f"{found.tables:,}", name, f"{cost['cpu_ms']:.0f}", ratio, goal, f"{cost['wall_ms']:.0f}", limit)
            )
    return "\n".join(
        [
            aligned([header, *rows]),
            "",
            f"Medians of {len(edited[0].ours)} rounds, in milliseconds; CPU is of process and backend together.",
        ]
    )


def drift_json(edited: Sequence[Found]) -> list[dict[str, object]]:
    return [
        {
            "tables": found.tables,
            "drift": milliseconds(found.ours),
            "whole": milliseconds(found.whole),
            "compare_metadata": milliseconds(found.alembic),
            "reflect": milliseconds(found.reflected),
        }
        for found in edited
    ]


def rehearse_table(rehearsals: Sequence[Rehearsed]) -> str:
    """Return what the first rehearsal took, and then the median of the others."""
    rows = [
        (
            f"{rehearsed.tables:,}",
            f"{rehearsed.first.wall * 1000:.0f}",
            f"{cost['wall_ms']:.0f}",
            f"{cost['cpu_ms']:.0f}",
            f"<= {GOAL_SECONDS * 1000:.0f}" if rehearsed.tables <= 100 else "",
        )
        for rehearsed in rehearsals
        for cost in [milliseconds(rehearsed.costs)]
    ]
    return "\n".join(
        [
            aligned([("models, rehearse", "first", "wall", "CPU", "goal"), *rows]),
            "",
            f"{ROWS:,} rows in each table; medians of {len(rehearsals[0].costs)} rounds, in milliseconds. The first",
            "builds the history. CPU is that of the command; PostgreSQL's is not in it.",
        ]
    )


def rehearse_json(rehearsals: Sequence[Rehearsed]) -> list[dict[str, object]]:
    return [
        {
            "tables": rehearsed.tables,
            "rows": ROWS,
            "first_ms": round(rehearsed.first.wall * 1000, 1),
            **milliseconds(rehearsed.costs),
        }
        for rehearsed in rehearsals
    ]


def start_table(starts: Sequence[Start]) -> str:
    """Return medians in milliseconds, with each wall time divided by the first one's, importing the application."""
    base = milliseconds(starts[0].costs)["wall_ms"]
    rows = [
        (start.name, f"{cost['wall_ms']:.0f}", f"{cost['wall_ms'] / base:.2f}", f"{cost['cpu_ms']:.0f}")
        for start in starts
        for cost in [milliseconds(start.costs)]
    ]
    return "\n".join(
        [
            aligned([("start", "wall", "ratio", "CPU"), *rows]),
            "",
            f"Medians of {len(starts[0].costs)} rounds, in milliseconds. Wall ends at the first 200 (import: with it);",
            "CPU is user + system time up to the end, stopping included; PostgreSQL's is not.",
        ]
    )


def start_json(starts: Sequence[Start]) -> list[dict[str, object]]:
    return [{"start": start.name, **milliseconds(start.costs)} for start in starts]


def review_table(reviews: Sequence[Reviewing]) -> str:
    """Return medians in milliseconds, and the CPU time divided by that of `alembic current`."""
    rows = [
        (
            review.name,
            *(f"{milliseconds(review.costs)[name]:.0f}" for name in ("cpu_ms", "wall_ms")),
            f"{median(review.times):.2f}",
            f"{min(review.times):.2f}-{max(review.times):.2f}",
            review_goal(review),
        )
        for review in reviews
    ]
    return "\n".join(
        [
            aligned([("review", "CPU", "wall", "of current", "each round", "goal"), *rows]),
            "",
            f"Medians of {len(reviews[0].costs)} rounds, in milliseconds; CPU is a process's user + system time.",
        ]
    )


def review_goal(review: Reviewing) -> str:
    if review.name.startswith("all"):
        return f"CPU <= {SECONDS * 1000:.0f}"
    return "" if review.goal is None else f"<= {review.goal:.2f}"


def review_json(reviews: Sequence[Reviewing]) -> list[dict[str, object]]:
    return [
        {"review": review.name, "goal": review.goal, "of_current": median(review.times), **milliseconds(review.costs)}
        for review in reviews
    ]


def api_table(measured: Sequence[Served]) -> str:
    """Return a table of requests, and one of starts, memory and the longest waits while others log in."""
    return "\n".join(
        [
            aligned([("GET", "server", "database", "CPU", "of bare", "times peer", "goal"), *request_rows(measured)]),
            "",
            "Medians; CPU in microseconds per request, server process and PostgreSQL's backends together. Of bare and",
            "times peer: requests per CPU-second, divided by those of the other.",
            "",
            aligned(
                [
                    (
                        *("server", "start", "of peer", "CPU", "of peer", "MiB", "later"),
                        *("p99", "with logins", "rise", "logins/s"),
                    ),
                    *server_rows(measured),
                ]
            ),
            "",
            "Start: milliseconds to the first 200, and the CPU of that process up to its end. MiB: at its first answer",
            "and after the pages. p99: milliseconds that a client waits for the current user, alone and while",
            f"{LOGIN_CLIENTS} others log in without a pause.",
        ]
    )


def request_rows(measured: Sequence[Served]) -> Iterator[tuple[str, ...]]:
    for title in measured[0].loads:
        costs = {served.server.name: request_figures(served.loads[title]) for served in measured}
        for name, cost in costs.items():
            goals = {ME: "0.50, 3", PAGE: "3"} if PEER in costs else {}
            yield (
                f"{name}, {title}",
                *(f"{cost[figure]:.0f}" for figure in ("server_us", "database_us", "cpu_us")),
                f"{costs[BARE]['cpu_us'] / cost['cpu_us']:.2f}",
                f"{costs[PEER]['cpu_us'] / cost['cpu_us']:.1f}" if PEER in costs else "",
                f">= {goals[title]}" if name == OURS and title in goals else "",
            )


def server_rows(measured: Sequence[Served]) -> Iterator[tuple[str, ...]]:
    starts = {served.server.name: milliseconds(served.starts) for served in measured}
    for served in measured:
        start, quiet = starts[served.server.name], request_figures(served.loads[ME])
        yield (
            served.server.name,
            f"{start['wall_ms']:.0f}",
            f"{start['wall_ms'] / starts[PEER]['wall_ms']:.2f}" if PEER in starts else "",
            f"{start['cpu_ms']:.0f}",
            f"{start['cpu_ms'] / starts[PEER]['cpu_ms']:.2f}" if PEER in starts else "",
            f"{served.resident_bytes[0] / 2**20:.0f}",
            f"{request_figures(served.loads[PAGE])['resident_mib']:.0f}",
            f"{quiet['p99_ms']:.0f}",
            *storm_cells(served, quiet["p99_ms"]),
        )


def storm_cells(served: Served, quiet_ms: float) -> tuple[str, ...]:
    if not served.storms:
        return "", "", ""
    storm = request_figures(served.storms)
    return (
        f"{storm['p99_ms']:.0f}",
        f"{(storm['p99_ms'] / quiet_ms - 1) * 100:.0f} %",
        f"{storm['logins_per_second']:.0f}",
    )


def api_json(measured: Sequence[Served]) -> list[dict[str, object]]:
    return [
        {
            "server": served.server.name,
            "start": milliseconds(served.starts),
            "first_resident_mib": round(served.resident_bytes[0] / 2**20, 1),
            **{title: request_figures(loads) for title, loads in served.loads.items()},
            **({"while others log in": request_figures(served.storms)} if served.storms else {}),
        }
        for served in measured
    ]


def request_figures(loads: Sequence[Load]) -> dict[str, float]:
    return {
        "server_us": round(median(load.server_cpu_seconds / len(load.waits) for load in loads) * 1e6, 1),
        "database_us": round(median(load.database_cpu_seconds / len(load.waits) for load in loads) * 1e6, 1),
        "cpu_us": round(median(load.cpu_seconds for load in loads) * 1e6, 1),
        "per_second": round(median(len(load.waits) / load.seconds for load in loads), 1),
        # Of all rounds together: one has too few that wait long.
        "p99_ms": round(quantiles((wait for load in loads for wait in load.waits), n=100)[-1] * 1e3, 1),
        "logins_per_second": round(median(load.logins / load.seconds for load in loads), 1),
        "resident_mib": round(median(load.resident_bytes for load in loads) / 2**20, 1),
    }


def milliseconds(costs: Sequence[Cost]) -> dict[str, float]:
    """Return the medians of CPU and wall time."""
    cpu, wall = median(cost.cpu for cost in costs), median(cost.wall for cost in costs)
    return {"cpu_ms": round(cpu * 1000, 1), "wall_ms": round(wall * 1000, 1)}


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as columns: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numeric = [cell[:1].isdigit() or cell.startswith("<") for cell in rows[-1]]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in rows
    )
