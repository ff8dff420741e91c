"""The way in for browsers: a form that trades the token for a cookie."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.params import Form as FormField
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from save_avs.serving.auth import COOKIE, LOGIN, STATIC, Token

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>save-avs</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{static}login.css"></head>
<body><form method="post" action="{login}">
<h1>save-avs</h1>
<p>{text}</p>
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button>
</form></body></html>
"""


def make_login(token: Token) -> APIRouter:
    """The form, and what takes it."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(LOGIN)
    def form() -> Response:
        return _form("This server asks for the token that it was started with.")

    @routes.post(LOGIN)
    def enter(
        request: Request, token_given: Annotated[str, FormField(alias="token", max_length=512)]
    ) -> Response:
        if not token.opens(token_given):
            return _form("That was not the token.", status=401)
        answer = RedirectResponse("/", status_code=303)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, token.cookie, httponly=True, samesite="strict", secure=secure)
        return answer

    return routes


def _form(text: str, status: int = 200) -> Response:
    return HTMLResponse(_PAGE.format(static=STATIC, login=LOGIN, text=text), status)
