"""How the allocator is built from its settings."""

from services.allocator.metrics import observe
from services.allocator.rules import Allocator
from services.allocator.settings import AllocatorSettings
from tape.blueprint import Blueprint

BLUEPRINT = Blueprint("allocator", AllocatorSettings, Allocator, observe)
