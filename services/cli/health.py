"""What the processes of the stack say about themselves on their health ports."""

import asyncio
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, ValidationError

from services.supervisor.probe import http_get
from services.supervisor.state import ProcessReport

_ANSWER_SECONDS = 2.0


class Phase(StrEnum):
    """Where a service is with the tape."""

    STARTING = "starting"
    CATCHING_UP = "catching_up"
    STANDBY = "standby"
    LIVE = "live"
    FINISHED = "finished"
    FAILED = "failed"


class Health(BaseModel):
    """A service's answer on /readyz."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    state: Phase
    position: int | None = None
    lag: int | None = None
    events_per_second: float | None = None
    detail: str = ""


async def ask_health(report: ProcessReport) -> Health | None:
    """What the process says; None when it is silent, or no service of ours."""
    if report.health is None or report.pid is None:
        return None
    answer = await http_get(report.health, _ANSWER_SECONDS)
    try:
        return Health.model_validate_json(answer.body) if answer else None
    except ValidationError:  # nats-server has a health page of its own
        return None


async def ask_all(reports: tuple[ProcessReport, ...]) -> dict[str, Health]:
    answers = await asyncio.gather(*(ask_health(report) for report in reports))
    return {report.name: answer for report, answer in zip(reports, answers, strict=True) if answer}
