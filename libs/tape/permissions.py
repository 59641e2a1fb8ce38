"""Who may say and hear what on the NATS server: the ownership table as the server's own configuration.

Each role is a user with a key, and reads only through the consumers provisioned for it, which it can rewind but not
make. Each is also an account of its own that imports, from the account of the streams, just the subjects it may use. In
one account with the streams it could do anything: the server would send its answers, even a stored message of the
role's own making, to whatever subject a request names for the reply: `risk.approved.>`, `$JS.API.STREAM.DELETE.TAPE`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from contracts.ownership import ROLES, Role
from tape.consumers import deliver_subject, standby
from tape.streams import LEDGER, TAPE, api

OPERATOR = "operator"
"""May do everything: `hmm` on a person's behalf, and provisioning."""
LEDGER_SERVER = "ledger"
"""The server that keeps LEDGER: it joins as a leaf node, and nothing else may."""

ACCOUNT = "TAPE"
"""The account of the streams."""

USERS = (*ROLES, OPERATOR, LEDGER_SERVER)


def _objects(bucket: str, *, write: bool) -> tuple[str, ...]:
    """What it takes to read, and to write, the objects of a bucket (see `tape.objects`)."""
    stored = tuple(f"$O.{bucket}.{kind}.>" for kind in "CM") if write else ()
    return (*stored, f"$JS.API.DIRECT.GET.OBJ_{bucket}", f"$JS.API.DIRECT.GET.OBJ_{bucket}.>")


_BY_NAME: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("ingest", "backfill", "importer"), _objects("chunks", write=True)),
    "trainer": (*_objects("chunks", write=False), *_objects("models", write=True)),
    "feed": (f"$JS.API.CONSUMER.LIST.{TAPE}",),  # to wait for the slowest reader
    "gateway": (api(LEDGER, f"DIRECT.GET.{LEDGER}.venue.command.>"),),  # to act only on what is on disk
    "archive": (f"$JS.API.DIRECT.GET.{TAPE}",),  # how old a position is; it hears everything anyway
}

_SHADOWS_THE_SERVERS_OWN = "$JS.API.INFO"
"""An account that imports this has no JetStream API of its own; else that would answer as well, and refuse."""

_DENIAL = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"', re.IGNORECASE)


@dataclass(frozen=True)
class Permissions:
    """The subjects a user may publish to, and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions_of(role: Role) -> Permissions:
    """Give what a role may do: say what it owns, keep its lease and its snapshots, read through its own consumers."""
    own = role.write_subjects()
    leases = tuple(f"$KV.leases.{name}" for name in (role.name, standby(role.name)))
    snapshots = (f"$KV.snapshots.{role.name}", f"$KV.snapshots.{role.name}.*")
    last_values = (
        *(f"$JS.API.DIRECT.GET.{TAPE}.{pattern}" for pattern in own),
        *(f"$JS.API.DIRECT.GET.KV_leases.{lease}" for lease in leases),
        *(f"$JS.API.DIRECT.GET.KV_snapshots.{snapshot}" for snapshot in snapshots),
    )
    return Permissions(
        publish=(
            *own,
            *leases,
            *snapshots,
            *last_values,
            f"$JS.API.STREAM.INFO.{TAPE}",
            *(_reading(role.name) if role.reads else ()),
            *_BY_NAME.get(role.name, ()),
        ),
        subscribe=(
            f"_INBOX.{role.name}.>",
            deliver_subject(role.name),
            deliver_subject(standby(role.name)),
            *leases,
        ),
    )


LEDGER_PERMISSIONS = Permissions(
    publish=(
        f"$JS.tape.API.CONSUMER.RESET.{TAPE}.{LEDGER}",  # go on behind what it has
        f"$JS.ACK.{TAPE}.{LEDGER}.>",
        "$JS.FC.>",
        "_INBOX.>",  # the answers of JetStream's API on its server, to the operator
        "_R_.>",  # and to the gateway, whose account is another
    ),
    subscribe=(f"deliver.{LEDGER}", "$JSC.R.*", "$JS.ledger.API.>"),
)


def key_variable(user: str) -> str:
    """Name the environment variable that holds a user's public key: no key stands in a file of the project."""
    return f"HMM_NKEY_{user.upper().replace('-', '_')}"


def permissions_conf() -> str:
    """Write deploy/nats/permissions.conf."""
    roles = {name: permissions_of(role) for name, role in ROLES.items()}
    lines = [
        "# Generated from libs/contracts/ownership.py by `hmm schemas` (libs/tape/permissions.py): do not edit.",
        "accounts {",
        f"  {ACCOUNT}: {{",
        "    jetstream: enabled",
        "    users: [",
        *_user(OPERATOR, "STANDARD", None),
        *_user(LEDGER_SERVER, "LEAFNODE", LEDGER_PERMISSIONS),
        "    ]",
        "    exports: [",
        *_exports(roles),
        "    ]",
        "  }",
    ]
    for name, permissions in roles.items():
        lines += [
            f"  {name}: {{",
            "    users: [",
            *_user(name, "STANDARD", permissions),
            "    ]",
            "    imports: [",
            *(
                f"      {{ {kind}: {{ account: {ACCOUNT}, subject: {subject} }} }}"
                for kind, subject in _shared(permissions)
            ),
            "    ]",
            "  }",
        ]
    return "\n".join([*lines, "}", ""])


def explain_denial(name: str, error: Exception) -> str | None:
    """Say in words what the server did not let `name` do; None if the error is about something else.

    The client tells of it in small letters.
    """
    found = _DENIAL.search(str(error))
    if found is None:
        return None
    what, subject = ("write to" if found[1].lower() == "publish" else "listen to"), found[2]
    return (
        f"{name} may not {what} {subject}: the server has refused it. What {name} says and hears is declared in "
        "libs/contracts/ownership.py; after a change there: hmm schemas, and start the NATS server again"
    )


def _reading(name: str) -> Iterable[str]:
    for consumer in (name, standby(name)):
        yield f"$JS.API.CONSUMER.INFO.{TAPE}.{consumer}"
        yield f"$JS.API.CONSUMER.RESET.{TAPE}.{consumer}"
        yield f"$JS.ACK.{TAPE}.{consumer}.>"


def _exports(roles: Mapping[str, Permissions]) -> list[str]:
    """Give each subject to the accounts that may use it."""
    users: dict[tuple[str, str], list[str]] = {}
    for name, permissions in roles.items():
        for shared in _shared(permissions):
            users.setdefault(shared, []).append(name)
    return [
        f"      {{ {kind}: {subject}, accounts: [{', '.join(names)}] }}" for (kind, subject), names in users.items()
    ]


def _shared(permissions: Permissions) -> Iterable[tuple[str, str]]:
    """List what crosses between the accounts: what is said is a service, so that its answer finds only who asked."""
    for subject in (*permissions.publish, _SHADOWS_THE_SERVERS_OWN):
        yield "service", json.dumps(subject)
    for subject in permissions.subscribe:
        if not subject.startswith("_INBOX."):
            yield "stream", json.dumps(subject)


def _user(name: str, connection: str, permissions: Permissions | None) -> list[str]:
    lines = [f"nkey: ${key_variable(name)}", f'allowed_connection_types: ["{connection}"]']
    if permissions is not None:
        lines += ["permissions: {", *_allow("publish", permissions.publish)]
        lines += [*_allow("subscribe", permissions.subscribe), "}"]
    return [f"      {{ # {name}", *(f"        {line}" for line in lines), "      }"]


def _allow(what: str, subjects: tuple[str, ...]) -> list[str]:
    return [f"  {what}: {{ allow: [", *(f"    {json.dumps(subject)}" for subject in subjects), "  ] }"]
