"""The `hmm` command: every subcommand with its options. What each does is in a file of its own."""

# ruff: noqa: PLC0415 # imported when called: `hmm --help` stays quick

from pathlib import Path
from typing import Annotated

import typer

from services.cli.research import AsJson, research

app = typer.Typer(
    name="hmm",
    help="Nautilus HMM: an event-sourced crypto trading system.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain one-line usage errors
)

OfRun = Annotated[Path | None, typer.Option("--run", help="the directory of a backtest: its log instead, no server")]


@app.command()
def up(
    feed: Annotated[str, typer.Option(help="sim, or frames:FILE[,FILE...] to replay recorded frames")] = "sim",
    speed: Annotated[str, typer.Option(help="1 (as recorded), N (times as fast) or max")] = "1",
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="delete the tape and the store first")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="return as soon as all is healthy")] = False,
) -> None:
    """Start the system; a replay returns when it is finished."""
    from services.cli.up import start_stack

    raise typer.Exit(start_stack(feed, speed, fresh=fresh, detach=detach))


@app.command()
def down() -> None:
    """Stop everything, dependents first."""
    from services.cli.down import stop_stack

    stop_stack()


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show processes, tape, store, orders, positions, equity."""
    from services.cli.status import show_status

    show_status(as_json=as_json)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="a process of hmm status, or supervisor")],
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on with what is written from now on")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="how many of the last lines")] = 50,
) -> None:
    """Show the log of one process."""
    from services.cli.logs import show_log

    show_log(name, lines, follow=follow)


@app.command()
def restart(name: Annotated[str, typer.Argument(help="a process of hmm status")]) -> None:
    """Stop one process and start it again."""
    from services.cli.restart import restart_process

    restart_process(name)


@app.command()
def standby(name: Annotated[str, typer.Argument(help="a component, for instance router")]) -> None:
    """Be a second instance of a component: it follows, and takes over when the first one ends."""
    from services.cli.standby import stand_by

    stand_by(name)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="for instance: SELECT * FROM orders")], *, as_json: AsJson = False
) -> None:
    """Ask the event store; changes nothing."""
    from services.cli.sql import run_query

    run_query(query, as_json=as_json)


@app.command()
def provision() -> None:
    """Make what the servers lack: streams, buckets, tables."""
    from services.cli.provision import provision_servers

    provision_servers()


@app.command()
def keys() -> None:
    """Make the keys that are missing: one for each user of the NATS server."""
    from services.cli.keys import keep_keys

    keep_keys()


@app.command()
def nats_context() -> None:
    """Let the nats tool work without flags."""
    from services.cli.natscontext import write_context

    write_context()


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Say what this machine lacks, and how to get it."""
    import json
    from dataclasses import asdict

    from services.cli.doctor import diagnose, print_findings

    findings = diagnose()
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print_findings(findings)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def tape(
    start: Annotated[int | None, typer.Option("--from", min=1, help="first position")] = None,
    stop: Annotated[int | None, typer.Option("--to", min=1, help="last position")] = None,
    since: Annotated[str | None, typer.Option(help="recorded since: 10m, 2h or 2026-01-31T12:00:00Z")] = None,
    subject: Annotated[str, typer.Option(help="NATS pattern, for instance 'order.>'")] = ">",
    run: OfRun = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="go on with what comes")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the tape, one event a line; a fill with its causes, back to the quote."""
    from services.cli.tape import show_tape

    show_tape(start, stop, since, subject, run, follow=follow, as_json=as_json)


@app.command()
def rebuild(
    projections: Annotated[list[str] | None, typer.Argument(help="which; none: all")] = None, *, as_json: AsJson = False
) -> None:
    """Fold projections anew and say whether they were right; readers go on meanwhile."""
    from services.cli.rebuild import rebuild

    rebuild(projections or (), as_json=as_json)


@app.command()
def audit(
    component: Annotated[str | None, typer.Argument(help="which; or --all")] = None,
    start: Annotated[int | None, typer.Option("--from", min=1, help="first position to compare")] = None,
    stop: Annotated[int | None, typer.Option("--to", min=1, help="last position to compare")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="what-if; with --all: COMPONENT.KEY=VALUE")
    ] = None,
    source: Annotated[str, typer.Option(help="where the record is read: store or tape")] = "store",
    run: OfRun = None,
    *,
    all_of_them: Annotated[bool, typer.Option("--all", help="every component, in one pass")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare what components said with what they say now to the same; exit code 1 on any divergence."""
    from services.cli.audit import audit

    audit(component, start, stop, assignments or (), source, run, all_of_them=all_of_them, as_json=as_json)


@app.command()
def replay(
    prefix: Annotated[str, typer.Option("--to-subject-prefix", help="md.quote.x.y is said as PREFIX.md.quote.x.y")],
    start: Annotated[int | None, typer.Option("--from", min=1, help="first position")] = None,
    stop: Annotated[int | None, typer.Option("--to", min=1, help="last position")] = None,
    speed: Annotated[str, typer.Option(help="1 (as it happened), N (times as fast) or max")] = "1",
    subject: Annotated[str, typer.Option(help="NATS pattern, for instance 'order.>'")] = ">",
    source: Annotated[str, typer.Option(help="where the record is read: store or tape")] = "store",
) -> None:
    """Say what was recorded again, for tools and people; it does not get onto the tape."""
    from services.cli.replay import replay

    replay(start, stop, speed, prefix, subject, source)


app.add_typer(research)


@app.command()
def backfill(
    symbols: Annotated[str, typer.Option(help="as the exchange has them, for instance BTCUSDT,ETHUSDT")],
    interval: Annotated[str, typer.Option(help="of the candles: 1m, 5m, 15m, 1h")],
    since: Annotated[str, typer.Option(help="first day or time, in UTC: 2024-01-31 or 2024-01-31T12:00:00")],
    until: Annotated[str | None, typer.Option(help="end, not included; none: now")] = None,
    venue: Annotated[str | None, typer.Option(help="the exchange, as ccxt names it; none: HMM_INGEST_VENUE")] = None,
) -> None:
    """Fetch history from an exchange; run again, it goes on where it was."""
    from services.cli.backfill import backfill

    backfill(symbols, interval, since, until, venue)


@app.command(name="import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="CSV, gzipped CSV or Parquet of candles")],
    symbol: Annotated[str | None, typer.Option(help="of which instrument; none: as the file's name says")] = None,
    interval: Annotated[str | None, typer.Option(help="of the bars; none: as they are apart")] = None,
    venue: Annotated[str, typer.Option(help="first part of the instrument's name")] = "file",
) -> None:
    """Take in history from files; a bad one is refused as a whole."""
    from services.cli.importing import import_files

    import_files(files, symbol, interval, venue)


@app.command()
def train(
    symbol: Annotated[str | None, typer.Option(help="of which instrument; none: of the only one there is")] = None,
    family: Annotated[str, typer.Option(help="regime, direction or all")] = "regime",
    interval: Annotated[str | None, typer.Option(help="of the bars; none: the only one there is")] = None,
    reason: Annotated[str, typer.Option(help="kept on the tape for ever")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Train a model on the history there is, and say how good it is; exit code 1 if there is none."""
    from services.cli.train import train

    train(symbol, family, interval, reason, as_json=as_json)


models = typer.Typer(help="Models: list them, look at one, promote or retire one.")
app.add_typer(models, name="models")


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the models that were trained; show, promote or retire one."""
    from services.cli.models import show_models

    if context.invoked_subcommand is None:
        show_models(as_json=as_json)


ModelId = Annotated[str, typer.Argument(help="of hmm models; its beginning is enough")]
ModelReason = Annotated[str, typer.Option("--reason", help="kept on the tape for ever")]


@models.command()
def show(model_id: ModelId, *, as_json: AsJson = False) -> None:
    """Show all of a model: states, transitions, the bytes it was trained on, how good it is."""
    from services.cli.models import show_model

    show_model(model_id, as_json=as_json)


@models.command()
def promote(model_id: ModelId, reason: ModelReason = "") -> None:
    """Believe a model from now on, whatever the gate says."""
    from contracts.models import ModelAction
    from services.cli.models import decide

    decide(model_id, ModelAction.PROMOTE, reason)


@models.command()
def retire(model_id: ModelId, reason: ModelReason = "") -> None:
    """Use a model no longer; of the one that is believed, nobody takes the place."""
    from contracts.models import ModelAction
    from services.cli.models import decide

    decide(model_id, ModelAction.RETIRE, reason)


@app.command()
def regimes(
    symbol: Annotated[str | None, typer.Option(help="of which instrument; none: of all, or of the only one")] = None,
    plot: Annotated[Path | None, typer.Option(help="draw what the model saw: FILE.png, .svg or .pdf")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="so many of the last observations")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the regime of each market; with --plot draw its history with the regimes as they were known."""
    from services.cli.regimes import plot_regimes, show_regimes

    if plot is None:
        show_regimes(symbol, last, as_json=as_json)
    else:
        plot_regimes(symbol, plot, last, as_json=as_json)


@app.command()
def schemas(*, check: Annotated[bool, typer.Option("--check", help="change nothing, fail when stale")] = False) -> None:
    """Write the JSON Schemas, golden events and the AsyncAPI document."""
    from services.cli.schemas import write_schemas

    write_schemas(check=check)


@app.command()
def orders(
    order_id: Annotated[str | None, typer.Option("--id", help="one order, with all that is known of it")] = None,
    strategy: Annotated[str | None, typer.Option(help="only those of one strategy")] = None,
    limit: Annotated[int, typer.Option(min=1, help="how many of the last ones")] = 50,
    run: OfRun = None,
    *,
    only_open: Annotated[bool, typer.Option("--open", help="only those that have not ended")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what was ordered, and what has become of it."""
    from services.cli.orders import show_orders

    show_orders(order_id, strategy, limit, run, only_open=only_open, as_json=as_json)


@app.command()
def positions(
    run: OfRun = None,
    *,
    flat_too: Annotated[bool, typer.Option("--all", help="also those that are flat")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what each strategy holds and is worth."""
    from services.cli.positions import show_positions

    show_positions(run, flat_too=flat_too, as_json=as_json)


@app.command()
def why(
    what: Annotated[str, typer.Argument(help="an order of hmm orders, a wish that was refused, or a position")],
    run: OfRun = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the chain of one order: from the quote through wish and verdict to fills and profit."""
    from services.cli.why import explain

    explain(what, run, as_json=as_json)


@app.command()
def control(
    state: Annotated[str, typer.Argument(help="active, reduce_only or halted (cancels every open order)")],
    reason: Annotated[str, typer.Option(help="kept on the tape for ever")] = "",
    *,
    flatten: Annotated[bool, typer.Option("--flatten", help="also leave every position at the market")] = False,
) -> None:
    """Let the system trade, only reduce, or not trade at all: the kill switch."""
    from services.cli.control import set_trading_state

    set_trading_state(state, reason, flatten=flatten)


@app.command()
def cancel(
    order_id: Annotated[str, typer.Argument(help="of hmm orders --open")],
    instrument: Annotated[str | None, typer.Option(help="venue.SYMBOL, where the event store cannot say it")] = None,
    reason: Annotated[str, typer.Option(help="kept on the tape for ever")] = "",
) -> None:
    """Ask for the rest of an order to be taken back."""
    from services.cli.control import cancel_order

    cancel_order(order_id, instrument, reason)


@app.command()
def unlock(
    rail: Annotated[str, typer.Argument(help="which rail has locked: see hmm status")],
    strategy: Annotated[str | None, typer.Option(help="only for this strategy")] = None,
    instrument: Annotated[str | None, typer.Option(help="only for this venue.SYMBOL")] = None,
    reason: Annotated[str, typer.Option(help="kept on the tape for ever")] = "",
) -> None:
    """Lift what a rail of risk has locked."""
    from services.cli.control import lift_lock

    lift_lock(rail, strategy, instrument, reason)


capital = typer.Typer(help="Capital of strategies: show it, decide on what the allocator proposes.")
app.add_typer(capital, name="capital")


@capital.callback(invoke_without_command=True)
def show_capital(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show what each strategy may bind, and what is proposed; or decide on a proposal."""
    from services.cli.control import show_capital

    if context.invoked_subcommand is None:
        show_capital(as_json=as_json)


Proposal = Annotated[int, typer.Argument(min=1, help="the position of the proposal: see hmm capital")]
DecisionReason = Annotated[str, typer.Option("--reason", help="kept on the tape for ever")]


@capital.command()
def approve(proposal: Proposal, reason: DecisionReason = "") -> None:
    """Let the allocator do what it proposes."""
    from services.cli.control import decide_capital

    decide_capital(proposal, reason, approved=True)


@capital.command()
def refuse(proposal: Proposal, reason: DecisionReason = "") -> None:
    """Leave the capital as it is."""
    from services.cli.control import decide_capital

    decide_capital(proposal, reason, approved=False)


presets = typer.Typer(help="Presets: show which is in force and what is believed of each, pin one.")
app.add_typer(presets, name="presets")


@presets.callback(invoke_without_command=True)
def show_presets(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show by which preset each strategy opens positions, and why; pin one, or unpin it."""
    from services.cli.presets import show_presets

    if context.invoked_subcommand is None:
        show_presets(as_json=as_json)


PresetStrategy = Annotated[str, typer.Argument(help="of hmm presets")]
PresetReason = Annotated[str, typer.Option("--reason", help="kept on the tape for ever")]


@presets.command()
def pin(
    strategy: PresetStrategy,
    name: Annotated[str, typer.Argument(help="the preset: see hmm presets")],
    reason: PresetReason = "",
) -> None:
    """Let a strategy open positions by one preset, whatever experience says."""
    from services.cli.presets import pin_preset

    pin_preset(strategy, name, reason)


@presets.command()
def unpin(strategy: PresetStrategy, reason: PresetReason = "") -> None:
    """Leave a strategy's preset to experience again."""
    from services.cli.presets import unpin_preset

    unpin_preset(strategy, reason)


@app.command()
def calibrate(
    instrument: Annotated[str | None, typer.Option(help="this venue.SYMBOL; none: all without their own")] = None,
    confidence_gain: Annotated[float | None, typer.Option(help="on the confidence in regimes: up to 10")] = None,
    quote_multiplier: Annotated[float | None, typer.Option(help="on the size of trades: 0 to 10")] = None,
    cooldown_scale: Annotated[float | None, typer.Option(help="on the pause after a trade: 0 to 10")] = None,
    reason: Annotated[str, typer.Option(help="kept on the tape for ever")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Set how far regimes are believed and how much is traded; with no factor, show it."""
    from services.cli.calibrate import calibrate

    calibrate(instrument, confidence_gain, quote_multiplier, cooldown_scale, reason, as_json=as_json)
