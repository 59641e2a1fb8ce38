"""Where a training is carried out: chunks from the object store, a fit in a process of its own, the model kept."""

import asyncio
import logging

from nats.aio.client import Client
from nats.errors import Error as NatsError
from pydantic import ValidationError

from contracts.models import ARTIFACT, Artifact, TrainFailure, canonical, model_id_of, sha256_of
from quant.training import Problem, Trained
from services.trainer.conclusion import without_bars
from services.trainer.entries import Request
from services.trainer.fitting import fit
from services.trainer.job import job_of
from services.trainer.settings import TrainerSettings
from tape.objects import ObjectDamaged, ObjectMissing, Objects, ObjectsAway

logger = logging.getLogger(__name__)

TRY_AGAIN_AFTER_S = 1.0


class Workshop:
    """Fetches, fits and keeps. While the server is away it waits; only what is wrong with the data is a failure."""

    def __init__(self, nc: Client, settings: TrainerSettings, code: str) -> None:
        self._chunks = Objects(nc, "chunks")
        self._models = Objects(nc, "models")
        self._settings = settings
        self._code = code

    async def train(self, request: Request, champion: Artifact | None) -> Trained | Problem:
        """Carry out a training; a model that comes of it is in the object store when this returns."""
        job = job_of(request, champion, self._settings, self._code)
        if not job.chunks:
            return without_bars(request)
        await asyncio.sleep(self._settings.pause_s)
        fetched: list[bytes] = []
        for chunk in job.chunks:
            try:
                fetched.append(await _fetched(self._chunks, chunk.sha256))
            except (ObjectMissing, ObjectDamaged) as wrong:
                return Problem(TrainFailure.BAD_DATA, f"{wrong} (bars from {chunk.first} to {chunk.last})")
        result = await fit(job, fetched, self._settings.fit_within_s)
        if isinstance(result, Trained):
            try:
                await self._keep(result.artifact)
            except ObjectDamaged as wrong:
                return Problem(TrainFailure.ERROR, f"the model was trained and cannot be kept: {wrong}")
        return result

    async def recall(self, sha256: str) -> Artifact | str:
        """Get a model that was kept; text says why it is not to be had."""
        try:
            return ARTIFACT.validate_json(await _fetched(self._models, sha256))
        except (ObjectMissing, ObjectDamaged, ValidationError) as wrong:
            return str(wrong)

    async def _keep(self, artifact: Artifact) -> None:
        """Put a model where people look for it. Raises `ObjectDamaged`."""
        name = sha256_of(artifact)
        description = f"{artifact.family.value} model {model_id_of(name)} of {artifact.instrument}"
        while True:
            try:
                await self._models.put(name, canonical(artifact), description)
            except (ObjectsAway, NatsError) as error:
                logger.warning("the model %s cannot be kept (%s): trying again", name, error)
                await asyncio.sleep(TRY_AGAIN_AFTER_S)
            else:
                return


async def _fetched(objects: Objects, name: str) -> bytes:
    """Get an object, however long the server is away. Raises `ObjectMissing`, `ObjectDamaged`."""
    while True:
        try:
            return await objects.get(name)
        except (ObjectsAway, NatsError) as error:
            logger.warning("%s cannot be fetched (%s): trying again", name, error)
            await asyncio.sleep(TRY_AGAIN_AFTER_S)
