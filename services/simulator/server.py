"""A NATS server with JetStream in memory, as far as the system needs one: the tape, its consumers, the buckets."""

import json
from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol

from nats.js.api import ConsumerConfig

from services.simulator.consumer import PushConsumer
from services.simulator.disguise import wall_ns
from services.simulator.loop import Domain, SimulatedLoop
from services.simulator.network import Link
from services.simulator.plan import Plan
from services.simulator.protocol import (
    INFO,
    NO_RESPONDERS,
    NOT_FOUND,
    Publication,
    delivery,
    publication,
    with_headers,
)
from services.simulator.sourcing import Ledger
from services.simulator.stream import Duplicate, Refusal, Stored, Stream
from services.simulator.subscriptions import Subscriptions
from tape.consumers import HEARTBEAT_S

BUCKETS = ("KV_leases", "KV_snapshots")
ARCHIVED_AFTER_NS = 300_000_000
EPSILON_S = 1e-9
ANSWER_FIRST = 0.8
"""How likely an answer overtakes the messages that come of it: different parts of a real server send them."""
REWOUND_FIRST = 0.5
"""The same, of a consumer that is rewound: there the messages are often first."""


class Watcher(Protocol):
    """Who sees all that a stream stores, the moment it does."""

    def stored(self, stream: str, message: Stored) -> None: ...

    def repeated(self, first: Stored, sender: str) -> None: ...


class Server:
    """Takes the bytes of real clients and answers in bytes. One call handles one command, whole."""

    def __init__(self, loop: SimulatedLoop, random: Random, plan: Plan, watcher: Watcher) -> None:
        self.up = True
        self.tape = Stream("TAPE", duplicates_within_s=plan.duplicates_within_s)
        self.buckets = {name: Stream(name, only_last=True) for name in BUCKETS}
        self.ledger = Ledger(loop, random, plan.ledger_lag_s)
        self.consumers: dict[str, PushConsumer] = {}
        self.links: list[Link] = []
        self.swallow_acks = 0
        """How many acknowledgements of publications are to be lost."""
        self._loop = loop
        self._random = random
        self._latency = plan.latency
        self._answers = plan.answers
        self._intake = plan.intake
        self._watcher = watcher
        self._subscriptions = Subscriptions()
        self._hearing: dict[str, list[PushConsumer]] = {}
        self._pushing: set[str] = set()
        self._tape_held_until = 0.0
        self._queues: dict[str, deque[tuple[Link, Publication]]] = {name: deque() for name in ("TAPE", *BUCKETS)}
        self._calls: dict[str, Callable[[str, Publication], None]] = {
            "$JS.API.STREAM.INFO.": self._stream_info,
            "$JS.API.DIRECT.GET.": self._direct_get,
            "$JS.API.CONSUMER.INFO.TAPE.": self._consumer_info,
            "$JS.API.CONSUMER.RESET.TAPE.": self._reset,
            "$JS.ledger.API.DIRECT.GET.LEDGER.": self._ledger_get,
        }

    # -- connections ---------------------------------------------------------------------------------------------

    def dial(self, domain: Domain) -> Link:
        """Open a connection. Raises `OSError` when the server is away."""
        if not self.up:
            raise ConnectionRefusedError("the simulated server is down")
        link = Link(self._loop, self._random, self._latency, domain)
        link.to_server = self.receive
        self.links.append(link)
        link.say(INFO)
        return link

    def lose(self, link: Link) -> None:
        """Notice that a connection is gone."""
        if link.open_at_server:
            link.open_at_server = False
            self.links.remove(link)
            self._subscriptions.remove_all(link)

    def receive(self, link: Link, command: bytes) -> None:
        """Do what a client asks."""
        operation = command[:4]
        if operation in (b"HPUB", b"PUB "):
            self._publish(link, publication(command))
        elif operation == b"PING":
            link.say(b"PONG\r\n")
        elif operation == b"SUB ":
            words = command[:-2].decode().split(" ")
            self._subscribe(link, words[-1], words[1])
        elif operation == b"UNSU":
            self._subscriptions.remove(link, command[:-2].decode().split(" ")[1])
        elif not command:
            link.ends_at_client()
            self.lose(link)

    def _subscribe(self, link: Link, sid: str, subject: str) -> None:
        self._subscriptions.add(link, sid, subject)
        consumer = self.consumers.get(subject.removeprefix("deliver."))
        if consumer is not None:
            consumer.sent_at = self._loop.time()
            self._soon(consumer)

    def _send(self, subject: str, reply: str, headers: bytes, payload: bytes) -> bool:
        """Send a message to whoever is subscribed; False if nobody is."""
        anyone = False
        for link, sid in self._subscriptions.to(subject):
            anyone = True
            link.say(delivery(subject, sid, reply, headers, payload))
        return anyone

    # -- publications --------------------------------------------------------------------------------------------

    def _publish(self, link: Link, said: Publication) -> None:
        subject = said.subject
        if subject.startswith("$JS.ACK."):
            words = subject.split(".")
            self.consumers[words[3]].acknowledge(int(words[5]), int(words[6]))
            self._soon(self.consumers[words[3]])
        elif subject.startswith("$JS."):
            self._ask(said)
        elif subject.startswith("$KV."):
            self._send(subject, "", said.headers, said.payload)  # also what the bucket will not take
            self._take_in(self.buckets[f"KV_{subject.split('.')[1]}"], link, said)
        elif not subject.startswith("_INBOX."):
            self._take_in(self.tape, link, said)
        elif not self._send(subject, said.reply, said.headers, said.payload) and said.reply:
            self._send(said.reply, "", NO_RESPONDERS, b"")

    def _take_in(self, stream: Stream, link: Link, said: Publication) -> None:
        """Let a message wait for its turn: each stream takes what comes in order, and knows nothing of the others."""
        queue = self._queues[stream.name]
        chance = self._random.random()
        held = stream is self.tape and self._tape_held_until > self._loop.time()
        if not queue and chance >= self._intake.rarely and not held:
            self._keep(stream, link, said)
            return
        queue.append((link, said))
        if len(queue) == 1:
            until = self._tape_held_until if held else self._loop.time() + self._intake.late_s * self._random.random()
            self._loop.call_at(until, self._empty, stream)

    def hold_tape(self, until: float) -> None:
        """Let the tape take nothing before that time."""
        self._tape_held_until = max(self._tape_held_until, until)

    def _empty(self, stream: Stream) -> None:
        queue = self._queues[stream.name]
        while queue:
            self._keep(stream, *queue.popleft())

    def _keep(self, stream: Stream, link: Link, said: Publication) -> None:
        """Let a stream take a message, acknowledge it, and bring it to others."""
        answer, stored = self._store(stream, said, link.domain.name)
        answer_first = self._random.random() < ANSWER_FIRST
        if not answer_first:
            self._spread(stream, stored)
        if self.swallow_acks and stream is self.tape:
            self.swallow_acks -= 1
        else:
            self._send(said.reply, "", b"", answer)
        if answer_first:
            self._spread(stream, stored)

    def put(self, stream: Stream, said: Publication, sender: str) -> None:
        """Let a stream take a message that came over no connection."""
        _, stored = self._store(stream, said, sender)
        self._spread(stream, stored)

    def _store(self, stream: Stream, said: Publication, sender: str) -> tuple[bytes, Stored | None]:
        outcome = stream.publish(said.subject, said.headers, said.payload, wall_ns(self._loop), sender)
        name = stream.name.encode()
        if isinstance(outcome, Refusal):
            error = {"code": 400, "err_code": outcome.err_code, "description": f"wrong last sequence: {outcome.last}"}
            return json.dumps({"error": error, "stream": stream.name, "seq": 0}).encode(), None
        if isinstance(outcome, Duplicate):
            self._watcher.repeated(stream.at(outcome.seq), sender)
            return b'{"stream":"%s","seq":%d,"duplicate":true}' % (name, outcome.seq), None
        self._watcher.stored(stream.name, outcome)
        return b'{"stream":"%s","seq":%d}' % (name, outcome.seq), outcome

    def _spread(self, stream: Stream, stored: Stored | None) -> None:
        """Bring a message that the tape has taken to whom it may concern."""
        if stored is None or stream is not self.tape:
            return
        hearing = self._hearing.get(stored.subject)
        if hearing is None:
            hearing = [consumer for consumer in self.consumers.values() if consumer.hears(stored.subject)]
            self._hearing[stored.subject] = hearing
        for consumer in hearing:
            consumer.offer(stored.seq)
            if consumer.name not in self._pushing:
                self._push(consumer)
        self.ledger.offer(stored)

    # -- consumers -----------------------------------------------------------------------------------------------

    def add_consumers(self, configs: Iterable[ConsumerConfig], most_unacked: int) -> None:
        for config in configs:
            name, deliver = config.durable_name or "", config.deliver_subject or ""
            consumer = PushConsumer(name, config.filter_subjects or (), deliver, most_unacked, self.tape)
            self.consumers[name] = consumer
            self._loop.call_later(HEARTBEAT_S * self._random.random(), self._heartbeat, consumer)

    def push_again(self, consumer: PushConsumer, count: int) -> None:
        """Deliver messages a second time."""
        if self._subscriptions.anyone(consumer.deliver):
            consumer.push_again(self._bring(consumer), count)

    def archived(self) -> int:
        """Give the position up to which the tape is in the event store: all but what came in the last moment."""
        return self.tape.before(wall_ns(self._loop) - ARCHIVED_AFTER_NS)

    def last_for(self, name: str, before: int) -> int:
        """Give the position of the last message up to `before` that a consumer has to bring."""
        return self.consumers[name].last(before)

    def _soon(self, consumer: PushConsumer) -> None:
        """Let a consumer deliver what it has, when its turn has come."""
        if consumer.pending and consumer.name not in self._pushing:
            self._pushing.add(consumer.name)
            self._loop.call_later(self._answers.least_s, self._push, consumer)

    def _push(self, consumer: PushConsumer) -> None:
        self._pushing.discard(consumer.name)
        if self._subscriptions.anyone(consumer.deliver) and consumer.push(self._bring(consumer)):
            self._soon(consumer)

    def _bring(self, consumer: PushConsumer) -> Callable[[Stored, str], None]:
        consumer.sent_at = self._loop.time()
        subscribers = list(self._subscriptions.to(consumer.deliver))

        def bring(stored: Stored, reply: str) -> None:
            for link, sid in subscribers:
                link.say(delivery(stored.subject, sid, reply, stored.raw_headers, stored.payload))

        return bring

    def _heartbeat(self, consumer: PushConsumer) -> None:
        """Say how far a consumer is, when it has had nothing to say for a while."""
        now = self._loop.time()
        if now >= consumer.sent_at + HEARTBEAT_S - EPSILON_S:
            consumer.sent_at = now
            if self.up and self._subscriptions.anyone(consumer.deliver):
                last = {"Nats-Last-Consumer": str(consumer.delivered), "Nats-Last-Stream": str(consumer.last_delivered)}
                headers = with_headers(b"NATS/1.0 100 Idle Heartbeat\r\n\r\n", last)
                self._send(consumer.deliver, "", headers, b"")
        self._loop.call_at(consumer.sent_at + HEARTBEAT_S, self._heartbeat, consumer)

    # -- JetStream's API -----------------------------------------------------------------------------------------

    def _ask(self, said: Publication) -> None:
        """Answer in a while: the server's API has a queue of its own."""
        for prefix, answer in self._calls.items():
            if said.subject.startswith(prefix):
                answers, chance = self._answers, self._random.random()
                late = answers.late_s * self._random.random() if chance < answers.rarely else 0.0
                wait = answers.least_s + 2 * answers.usual_s * chance + late
                self._loop.call_later(wait, self._answer, answer, said.subject.removeprefix(prefix), said)
                return
        raise NotImplementedError(f"the simulated server knows no {said.subject}")

    def _answer(self, answer: Callable[[str, Publication], None], about: str, said: Publication) -> None:
        if self.up:
            answer(about, said)

    def _stream_info(self, name: str, said: Publication) -> None:
        assert name == self.tape.name, f"nobody asks about {name}"
        self._send(said.reply, "", b"", json.dumps(self.tape.info(len(self.consumers))).encode())

    def _direct_get(self, about: str, said: Publication) -> None:
        name, _, subject = about.partition(".")
        stream = self.tape if name == self.tape.name else self.buckets[name]
        self._give(stream.name, stream.last(subject), {}, said.reply)

    def _ledger_get(self, subject: str, said: Publication) -> None:
        stored = self.ledger.last_on.get(subject)
        self._give("LEDGER", stored, {} if stored is None else self.ledger.source_of(stored), said.reply)

    def _give(self, stream: str, stored: Stored | None, more: dict[str, str], reply: str) -> None:
        if stored is None:
            self._send(reply, "", NOT_FOUND, b"")
            return
        where = {"Nats-Stream": stream, "Nats-Subject": stored.subject, "Nats-Sequence": str(stored.seq)}
        headers = with_headers(stored.raw_headers, {**where, "Nats-Time-Stamp": stored.timestamp, **more})
        self._send(reply, "", headers, stored.payload)

    def _consumer_info(self, name: str, said: Publication) -> None:
        answer = json.dumps({"stream_name": self.tape.name, "name": name, "num_pending": self.consumers[name].pending})
        self._send(said.reply, "", b"", answer.encode())

    def _reset(self, name: str, said: Publication) -> None:
        consumer = self.consumers[name]
        consumer.reset(int(json.loads(said.payload)["seq"]))
        answer = json.dumps({"stream_name": self.tape.name, "name": name, "num_pending": consumer.pending}).encode()
        answered = self._random.random() < REWOUND_FIRST
        if answered:
            self._send(said.reply, "", b"", answer)
        self._push(consumer)
        if not answered:
            self._send(said.reply, "", b"", answer)

    # -- its own faults ------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Go down; what was on its way to the server or from it, and what waited for its turn, is lost."""
        self.up = False
        for queue in self._queues.values():
            queue.clear()
        for link in list(self.links):
            link.up.cut(0)
            link.down.cut(self._random.randint(0, len(link.down)))
            self.lose(link)
            link.ends_at_client()

    def start(self) -> None:
        """Come back with all that was stored."""
        self.up = True
        for consumer in self.consumers.values():
            consumer.restart()
