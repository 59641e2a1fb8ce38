"""A small process for the supervisor's tests: it serves health like our services and misbehaves on demand.

python -S puppet.py PORT [OPTIONS]
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--ready-after", type=float, default=0.0)
    parser.add_argument("--exit-after", type=float)
    parser.add_argument("--exit-code", type=int, default=3)
    parser.add_argument("--hang-after", type=float, default=1e9)
    parser.add_argument("--finish-after", type=float, default=1e9)
    parser.add_argument("--deaf", action="store_true", help="ignore SIGTERM")
    parser.add_argument("--grandchild", type=Path, help="start a deaf one and write its pid here")
    options = parser.parse_args()
    began = time.monotonic()

    if options.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.grandchild:
        deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        options.grandchild.write_text(str(subprocess.Popen([sys.executable, "-S", "-c", deaf]).pid))
    if options.exit_after is not None:
        threading.Timer(options.exit_after, lambda: os._exit(options.exit_code)).start()

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            age = time.monotonic() - began
            if age > options.hang_after:
                time.sleep(600)
            ready = age >= options.ready_after
            state = "finished" if age >= options.finish_after else "live" if ready else "starting"
            body = {"name": "puppet", "state": state, "position": 42, "lag": 0, "events_per_second": 1.5, "detail": "-"}
            self.send_response(200 if ready else 503)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # as the library has it
            """Quiet: the log is for the test's own lines."""

    sys.stdout.write(f"puppet {os.getpid()} on {options.port}\n")
    sys.stdout.flush()
    ThreadingHTTPServer(("127.0.0.1", options.port), Health).serve_forever()


main()
