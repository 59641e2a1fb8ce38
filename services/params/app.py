"""Run params on the live tape."""

from eventstore.history import stored_history
from services.params.blueprint import BLUEPRINT
from tape.service import serve

if __name__ == "__main__":
    serve(BLUEPRINT, stored_history())
