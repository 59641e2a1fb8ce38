"""The commands of `hmm` that let the past be traded: a run, and what is learned from many of them."""

# ruff: noqa: PLC0415 # imported when called: `hmm --help` stays quick

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.runoptions import with_options_of

if TYPE_CHECKING:
    from services.cli.backtestarguments import Arguments

research = typer.Typer()

AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


@research.command()
def backtest(
    data: Annotated[
        str, typer.Option(help="frames:FILE[,FILE], bars:FILE, trades:FILE, quotes:FILE, store:FROM-TO or tape:FROM-TO")
    ],
    out: Annotated[Path, typer.Option(help="directory for log, manifest and report")],
    strategies: Annotated[str, typer.Option(help="who trades: trend,hmm_ensemble; your own: FILE.py:CLASS")] = "all",
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="COMPONENT.KEY=VALUE", help="for instance trend.slow=20")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="first day or time, in UTC")] = None,
    until: Annotated[str | None, typer.Option("--to", help="end, not included")] = None,
    capital: Annotated[str | None, typer.Option(help="that each strategy begins with")] = None,
    seed: Annotated[int | None, typer.Option(help="where chance begins")] = None,
    latency: Annotated[
        str | None, typer.Option(metavar="MS", help="from a command to its effect: 50, or lognormal:50,0.5")
    ] = None,
    report_latency: Annotated[
        str | None, typer.Option(metavar="MS", help="from what happens at the exchange to our hearing of it")
    ] = None,
    feed_latency: Annotated[
        str | None, typer.Option(metavar="MS", help="of prices, beyond that which the data has")
    ] = None,
    fees: Annotated[str | None, typer.Option(metavar="MAKER,TAKER", help="in basis points of notional")] = None,
    slippage: Annotated[
        float | None, typer.Option(metavar="BPS", help="paid beyond the quote by orders that take")
    ] = None,
    impact: Annotated[
        float | None, typer.Option(metavar="BPS", help="the same, times the root of size / displayed size")
    ] = None,
    borrow: Annotated[
        str | None, typer.Option(metavar="BPS", help="interest a day on coins and money that are lent on spot")
    ] = None,
    script: Annotated[
        Path | None, typer.Option(help="outages, refusals and halts of the exchange: CSV or JSON")
    ] = None,
    spread: Annotated[float | None, typer.Option(metavar="BPS", help="ask above bid, where data has no quotes")] = None,
    venue: Annotated[str, typer.Option(help="first part of the instruments' names")] = "binance",
    symbol: Annotated[str | None, typer.Option(help="of which instrument files are that do not say")] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="ROLE=COLUMN,...", help="of files, for instance time=ts,open=o")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(metavar="base|quote", help="what sizes in files count: coins, or money")
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="of dates in files that tell none, such as Europe/Berlin; none: UTC")
    ] = None,
    bar_time: Annotated[
        str | None, typer.Option(metavar="opens|closes", help="what the time of a bar in a file is")
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(
            metavar="adverse|open_high_low_close|open_low_high_close", help="which extreme comes first inside a bar"
        ),
    ] = None,
    *,
    repair: Annotated[bool, typer.Option("--repair", help="put right what is wrong in files, and count it")] = False,
    cache: Annotated[bool, typer.Option(help="keep what was read, and read it from there")] = True,
    train: Annotated[bool, typer.Option("--train", help="train models within the run, on what it has shown")] = False,
    training_time: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="of market time that a training takes; none: 60")
    ] = None,
    again: Annotated[Path | None, typer.Option(help="a manifest: run that again, and compare the logs")] = None,
    log: Annotated[bool, typer.Option(help="keep every event; without, the run is about three times as fast")] = True,
    report: Annotated[bool, typer.Option(help="write the page and its pictures")] = True,
    as_json: AsJson = False,
) -> None:
    """Let the live system trade the past, in one process; Ctrl-C leaves what there is."""
    from services.cli.backtest import backtest as run
    from services.cli.backtestarguments import Arguments

    arguments = Arguments(
        data=data,
        strategies=strategies,
        changes=assignments or (),
        since=since,
        until=until,
        capital=capital,
        seed=seed,
        latency=latency,
        report_latency=report_latency,
        feed_latency=feed_latency,
        slippage=slippage,
        impact=impact,
        borrow=borrow,
        script=script,
        fees=fees,
        spread=spread,
        venue=venue,
        symbol=symbol,
        columns=columns,
        sizes=sizes,
        zone=zone,
        bar_time=bar_time,
        path=path,
        repair=repair,
        cache=cache,
        train=train,
        training_time=training_time,
        out=out,
        log=log,
        report=report,
        again=again,
    )
    run(arguments, as_json=as_json)


@research.command()
@with_options_of(backtest)
def lookahead(
    arguments: "Arguments",
    cuts: Annotated[int, typer.Option(min=1, max=1_000, help="how many moments get another future")] = 6,
    cut_seed: Annotated[int, typer.Option(min=0, help="where the choice of moments begins")] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Find out whether anything that was decided used the future; exit code 1 if so."""
    from services.cli.lookahead import lookahead

    lookahead(arguments, cuts, cut_seed, as_json=as_json)


@research.command()
@with_options_of(backtest)
def sweep(
    arguments: "Arguments",
    out: Annotated[Path, typer.Option(help="directory of the store and the report; the same one goes on")],
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="COMPONENT.KEY=VALUES", help="LOW..HIGH, LOW..HIGH:STEP, LOW..HIGH:log or A,B,C"),
    ] = None,
    space: Annotated[Path | None, typer.Option(help="TOML or JSON that says the same for many settings")] = None,
    trials: Annotated[int, typer.Option(min=1, max=1_000_000, help="in all, earlier ones among them")] = 50,
    processes: Annotated[int, typer.Option(min=1, max=256, help="that play at the same time")] = 1,
    sampler: Annotated[str, typer.Option(help="tpe, random, grid or cmaes")] = "tpe",
    pruner: Annotated[str, typer.Option(help="gives trials up behind a fold: none, median or hyperband")] = "none",
    objective: Annotated[str, typer.Option(help="sharpe, sortino, calmar, net or skill")] = "sharpe",
    folds: Annotated[int, typer.Option(min=1, max=50, help="stretches of time that count")] = 4,
    warm_up: Annotated[str | None, typer.Option(help="of time before the first fold; none: as long as one")] = None,
    embargo: Annotated[str, typer.Option(help="of time before each fold that does not count: 30m, 4h, 1d")] = "0",
    *,
    as_json: AsJson = False,
) -> None:
    """Try many settings on walk-forward folds, and say how much of the best is luck; Ctrl-C leaves what there is."""
    from services.cli.sweep import Wanted
    from services.cli.sweep import sweep as run

    wanted = Wanted(space, vary or (), trials, processes, sampler, pruner, objective, folds, warm_up, embargo, out)
    run(arguments, wanted, as_json=as_json)


@research.command()
@with_options_of(backtest)
def warmup_check(  # one for each option
    arguments: "Arguments",
    starts: Annotated[
        str, typer.Option(metavar="BARS,BARS", help="how much past runs are given before what is compared")
    ] = "0,25,50,100,200,400",
    places: Annotated[int, typer.Option(min=1, max=1_000, help="how often each is tried, over the later half")] = 8,
    window: Annotated[int, typer.Option(metavar="BARS", min=1, max=1_000_000, help="compared behind each place")] = 200,
    tolerance: Annotated[
        float, typer.Option(metavar="PERCENT", min=0, max=100, help="by which amounts may differ")
    ] = 0.01,
    *,
    experience: Annotated[bool, typer.Option("--experience", help="let past trades choose presets as well")] = False,
    as_json: AsJson = False,
) -> None:
    """Find out how much past decisions need; exit code 1 if anyone speaks before it knows enough."""
    from services.cli.warmup import warmup_check

    warmup_check(arguments, starts, places, window, tolerance, experience=experience, as_json=as_json)


@research.command()
def compare(
    first: Annotated[Path, typer.Argument(help="directory of a backtest")],
    second: Annotated[Path, typer.Argument(help="directory of another one")],
    out: Annotated[Path | None, typer.Option(help="directory for a page with both curves")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say what differs between two backtests, and whether the difference in what they brought is noise."""
    from services.cli.compare import compare as run

    run(first, second, out, as_json=as_json)


@research.command()
def parity(
    start: Annotated[int | None, typer.Option("--from", min=1, help="first position to compare")] = None,
    stop: Annotated[int | None, typer.Option("--to", min=1, help="last position to compare")] = None,
    source: Annotated[str, typer.Option(help="where the record is read: store or tape")] = "store",
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="COMPONENT.KEY=VALUE", help="other settings of the run")
    ] = None,
    window: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="decisions further apart are not the same one")
    ] = 10.0,
    tolerance: Annotated[
        float | None, typer.Option(metavar="AMOUNT", min=0, help="fail if the profits are further apart")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="directory for page, JSON, and the log of the run")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Trade the market of a recorded session anew, and say how far and why both differ; besides, audit the session."""
    from services.cli.parity import Asked
    from services.cli.parity import parity as compare

    compare(Asked(source, start, stop, assignments or (), window, tolerance, out), as_json=as_json)
