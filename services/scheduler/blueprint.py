"""How the scheduler is built from its settings."""

from services.scheduler.rules import Scheduler
from services.scheduler.settings import SchedulerSettings
from tape.blueprint import Blueprint

BLUEPRINT = Blueprint("scheduler", SchedulerSettings, Scheduler)
