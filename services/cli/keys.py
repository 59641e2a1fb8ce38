"""`hmm keys`: one key for each user of the NATS server. Only the public halves ever leave this machine's own files."""

import os
from pathlib import Path

import nkeys

from services.cli.errors import fail
from services.cli.settings import current
from tape.permissions import USERS, key_variable

_SEED_BYTES = 32
PUBLIC_KEYS = "public.env"


def keep_keys() -> None:
    """Make the keys that are missing; one that is there stays as it is."""
    directory = current().keys
    made = make_keys(directory)
    print(f"{directory}: {'made the keys of ' + ', '.join(made) if made else 'all keys are there'}")


def make_keys(directory: Path) -> list[str]:
    """Make `<user>.nk` (the seed, for its user's eyes only) and `<user>.pub` where they are missing; names the new.

    Whose public key is here and whose seed is not keeps that elsewhere. `public.env` holds the public keys as
    variables, as the server's configuration wants them.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = [user for user in USERS if _make_seed(directory, user)]
        public = {user: _public_key(directory, user) for user in USERS}
        for user, key in public.items():
            _write(directory / f"{user}.pub", f"{key}\n")
        _write(directory / PUBLIC_KEYS, "".join(f"{key_variable(user)}={key}\n" for user, key in public.items()))
    except OSError as error:
        fail(f"cannot write {error.filename}: {error.strerror}", "set HMM_RUN_DIR to a directory you may write")
    return made


def _make_seed(directory: Path, user: str) -> bool:
    """Make a user's seed unless it has a key, also when another process does the same at this moment."""
    path = directory / f"{user}.nk"
    if path.exists() or path.with_suffix(".pub").exists():
        return False
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(nkeys.encode_seed(os.urandom(_SEED_BYTES), nkeys.PREFIX_BYTE_USER))
    try:
        path.hardlink_to(aside)
    except FileExistsError:
        return False
    finally:
        aside.unlink()
    return True


def _public_key(directory: Path, user: str) -> str:
    seed = directory / f"{user}.nk"
    if not seed.exists():
        return seed.with_suffix(".pub").read_text().strip()
    try:
        key: str = nkeys.from_seed(seed.read_bytes().strip()).public_key.decode()
    except nkeys.NkeysError:
        fail(f"{seed} is no key", "delete it and the .pub beside it, and make it anew: hmm keys")
    return key


def _write(path: Path, text: str) -> None:
    """Replace a file that others may be reading."""
    if path.exists() and path.read_text() == text:
        return
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text)
    aside.replace(path)
