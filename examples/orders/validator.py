#!/usr/bin/env python3
"""A second, independent card validator: the same HTTP contract as `orders validator`, in Python.

Nothing but the standard library. Start it in place of ours,

    python3 validator.py --listen 127.0.0.1:7001

or let the drill kill it:

    orders drill --validator-command "python3 validator.py"
"""

import argparse
import json
import os
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Book:
    """What the validator remembers: per key the order and the verdict, both for ever."""

    def __init__(self, flags):
        self.flags = flags
        self.lock = threading.Lock()
        self.calls = 0
        self.known = {}
        self.ledger = self.open_ledger(flags.ledger) if flags.ledger else None

    def open_ledger(self, path):
        ledger = open(path, "a+b", buffering=0)
        ledger.seek(0)
        whole = 0
        for line in ledger.read().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break  # A crash cut it short: its answer never left.
            whole += len(line)
            self.remember(json.loads(line))
        ledger.truncate(whole)
        return ledger

    def remember(self, call):
        self.calls += 1
        known = self.known.setdefault(call["key"], {"order_id": call["order_id"], "verdict": None})
        if known["verdict"] is None and "verdict" in call:
            known["verdict"] = {name: call[name] for name in ("verdict", "reason") if name in call}

    def take(self, key, order_id, epoch):
        """Decides how a call is answered, and writes that down before the answer leaves."""
        with self.lock:
            known = self.known.get(key, {"order_id": order_id, "verdict": None})
            if known["order_id"] != order_id:
                return None
            verdict = known["verdict"]
            if verdict is None and not chance(self.flags.fail_percent):
                verdict = self.draw()
            call = {"at_micros": time.time_ns() // 1000, "key": key, "order_id": order_id, "epoch": epoch}
            if verdict is None:
                call["answer"] = "failure"
            else:
                call["answer"] = "silence" if chance(self.flags.silent_percent) else "verdict"
                call.update(verdict)
            if self.ledger:
                self.ledger.write(json.dumps(call).encode() + b"\n")
            self.remember(call)
            return call

    def draw(self):
        if chance(self.flags.decline_percent):
            return {"verdict": "declined", "reason": "limit exceeded"}
        return {"verdict": "validated"}


def chance(percent):
    return random.randrange(100) < percent


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    book = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/validations":
            return self.answer(404, {"error": "there is only /validations"})
        key = self.headers.get("Idempotency-Key")
        try:
            order_id = int(json.loads(body)["order_id"])
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": "an order_id is needed"})
        if not key:
            return self.answer(400, {"error": "an Idempotency-Key is needed"})
        epoch = self.headers.get("Refrain-Epoch", "")
        call = self.book.take(key, order_id, int(epoch) if epoch.isdigit() else None)
        if call is None:
            return self.answer(422, {"error": "this Idempotency-Key was used for another order"})
        time.sleep(random.uniform(*self.book.flags.delay_ms) / 1000)
        if call["answer"] == "failure":
            return self.answer(503, {"error": "the bank is closed"})
        if call["answer"] == "silence":
            # Nobody waits so long: the caller hangs up, and this connection ends here.
            self.connection.settimeout(60)
            self.rfile.read(1)
            self.close_connection = True
            return None
        return self.answer(200, {name: call[name] for name in ("verdict", "reason") if name in call})

    def do_GET(self):
        if self.path != "/stats":
            return self.answer(404, {"error": "there is only /stats"})
        with self.book.lock:
            stats = {"calls": self.book.calls, "distinct_keys": len(self.book.known)}
        return self.answer(200, stats)

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request, client_address):
        # A caller that hung up or was killed is nothing to report.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def delay(text):
    first, _, last = text.partition("..")
    return float(first), float(last or first)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", default="127.0.0.1:7001", metavar="ADDR")
    parser.add_argument("--fail-percent", type=int, default=0, metavar="N")
    parser.add_argument("--silent-percent", type=int, default=0, metavar="N")
    parser.add_argument("--delay-ms", type=delay, default=(0.0, 0.0), metavar="A..B")
    parser.add_argument("--decline-percent", type=int, default=20, metavar="N")
    parser.add_argument("--ledger", metavar="FILE")
    parser.add_argument("--until-stdin-ends", action="store_true")
    flags = parser.parse_args()
    Handler.book = Book(flags)
    host, _, port = flags.listen.rpartition(":")
    server = Server((host, int(port)), Handler)
    if flags.until_stdin_ends:
        def end_with_stdin():
            while os.read(0, 64):
                pass
            server.shutdown()
        threading.Thread(target=end_with_stdin, daemon=True).start()
    print(f"listening on http://{host}:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever(poll_interval=0.05)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
