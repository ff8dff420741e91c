"""The web application: the guard, the REST face, and the page, around one service."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from save_avs import __version__
from save_avs.serving.api import make_routes
from save_avs.serving.auth import STATIC, AuthMiddleware, Token
from save_avs.serving.errors import answer_failures
from save_avs.serving.login import make_login
from save_avs.serving.service import Service

_ABOUT = (
    "A video goes in, masks of the things that sound come out. Send it to `/v1/segment`, follow the job it "
    "becomes, read its files. Who knows a job's id may see, cancel and delete the job; nobody can list them."
)
_FILES = Path(__file__).with_name("static")


def make_app(service: Service, *, token: Token | None = None, page: bool = True) -> FastAPI:
    """Put the faces of a service, whose models are loaded, into one application.

    Args:
        service: started.
        token: asked of everybody; None for nobody.
        page: have the web page too, which needs gradio.
    """
    app = FastAPI(title="save-avs", version=__version__, description=_ABOUT, docs_url=None, redoc_url=None)
    app.state.service = service
    answer_failures(app)
    app.router.routes.extend(make_routes(service))  # each its own: what a path allows is gathered from them
    if token is not None:
        app.include_router(make_login(token))
    app.mount(STATIC.rstrip("/"), StaticFiles(directory=_FILES))
    if page:
        from save_avs.serving.web_ui import make_page

        # Behind all routes, not one of them: a mounted page would take even wrong methods of theirs.
        front = make_page(service)
        app.router.default = front
        app.router.lifespan_context = front.router.lifespan_context
    app.add_middleware(AuthMiddleware, token=token, root=service.store.root, room=service.limits.size)
    return app
