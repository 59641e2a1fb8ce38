"""Read settings from the environment: one frozen model per service, unknown keys refused."""

import os
import sys
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

M = TypeVar("M", bound=BaseModel)

DEFAULT_NATS_URL = "nats://127.0.0.1:4222"


class ProcessSettings(BaseSettings):
    """What every process of the system needs."""

    model_config = SettingsConfigDict(env_prefix="HMM_", env_ignore_empty=True, frozen=True)

    nats_url: str = Field(default=DEFAULT_NATS_URL, description="the NATS server")
    nkey_file: Path | None = Field(
        default=None, description="the key that lets us into the NATS server; none: it is open"
    )
    health_host: str = Field(default="127.0.0.1", description="where /livez, /readyz and /metrics are served")
    health_port: int = Field(default=0, ge=0, le=65535, description="its port; 0: any free one")

    @field_validator("nkey_file")
    @classmethod
    def _is_there(cls, path: Path | None) -> Path | None:
        if path is not None and not os.access(path, os.R_OK):
            raise ValueError(f"there is no key that we may read at {path}; make it: hmm keys")
        return path


def load(model: type[M], service: str) -> M:
    """Fill `model` from `HMM_<SERVICE>_<FIELD>` variables, or leave with a line for each that is wrong."""
    prefix = f"HMM_{service.upper()}_"
    known = {f"{prefix}{name.upper()}" for name in model.model_fields}
    problems = [
        f"{key} is no setting of {service}; it has {', '.join(sorted(known))}"
        for key in os.environ
        if key.startswith(prefix) and key not in known
    ]
    reading = type(
        f"{model.__name__}Environment",
        (BaseSettings, model),
        {"model_config": SettingsConfigDict(env_prefix=prefix, extra="ignore", frozen=True), "__module__": __name__},
    )
    settings: BaseModel | None = None
    try:
        settings = reading()
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            place = prefix + "_".join(str(word) for word in problem["loc"][:1]).upper()
            problems.append(f"{place.rstrip('_')}: {problem['msg']} (got {problem['input']!r})")
    if settings is None or problems:
        sys.exit("\n".join(f"{service}: {problem}" for problem in problems))
    return model.model_validate(settings.model_dump())
