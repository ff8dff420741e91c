"""Hostile requests against every route: `python -m tests.support.attack` prints them as a table."""

from __future__ import annotations

from save_avs.serving.auth import AccessToken
from save_avs.serving.server import make_app
from tests.support.attack import MAX_GROWTH, run
from tests.support.attack_requests import ROUTES, TOKEN, attacks
from tests.support.service import idle_service


def test_every_hostile_request_stays_within_the_limits(tmp_path):
    outcomes, grown = run(tmp_path, attacks())
    assert [(one.attack.kind, one.attack.name, one.problem) for one in outcomes if one.problem] == []
    assert len(outcomes) > 500 and grown < MAX_GROWTH


def test_every_route_is_attacked(tmp_path):
    with idle_service(tmp_path) as own:
        app = make_app(own.service, token=AccessToken(TOKEN))
        routes = [route.path_regex for route in app.routes if route.path != "/static"]
    assert routes and not [regex for regex in routes if not any(regex.match(path) for _, path in ROUTES)]
