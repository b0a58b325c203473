"""A service that runs each occurrence once, with a small admin API and a page that shows it."""

from kst_scheduler.service.app import create_app
from kst_scheduler.service.parts import Service
from kst_scheduler.service.settings import Settings

__all__ = ["Service", "Settings", "create_app"]
