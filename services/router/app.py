"""Run the router on the live tape."""

from services.router.metrics import observe
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.service import serve
from tape.settings import load

if __name__ == "__main__":
    serve(Router(load(RouterSettings, "router")), observe=observe())
