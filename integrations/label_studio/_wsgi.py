"""The backend as a WSGI application: ``gunicorn _wsgi:app``."""

from label_studio_ml.api import init_app
from model import SoundingObjects

app = init_app(model_class=SoundingObjects)
