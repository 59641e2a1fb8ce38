"""What chaos does to the stack is drawn from its seed, and is enough to mean something."""

from collections import Counter

from services.chaos.plan import SERVERS, Blow, draw

COMPONENTS = ("risk", "router", "feed")
STANDBYS = ("router-standby",)


def test_the_same_seed_draws_the_same_blows() -> None:
    assert list(draw(7, 600, COMPONENTS, STANDBYS)) == list(draw(7, 600, COMPONENTS, STANDBYS))
    assert list(draw(7, 600, COMPONENTS, STANDBYS)) != list(draw(8, 600, COMPONENTS, STANDBYS))


def test_ten_minutes_bring_more_than_forty_kills_and_every_kind_of_blow() -> None:
    for seed in range(20):
        strikes = list(draw(seed, 600, COMPONENTS, STANDBYS))
        blows = Counter(strike.blow for strike in strikes)
        assert blows[Blow.KILL] > 40
        assert set(blows) == set(Blow)
        assert all(0 < strike.at_s <= 600 for strike in strikes)


def test_nobody_restarts_who_is_not_supervised_and_servers_sleep_only_briefly() -> None:
    strikes = [strike for seed in range(50) for strike in draw(seed, 600, COMPONENTS, STANDBYS)]
    assert not [strike for strike in strikes if strike.target in STANDBYS and strike.blow is Blow.RESTART]
    assert max(strike.lasts_s for strike in strikes if strike.target in SERVERS) <= 3.0
    assert max(strike.lasts_s for strike in strikes) == 10.0
