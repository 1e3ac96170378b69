"""How fast the viewer answers a click, and how it bears many clients.

    cargo build --release && python3 benches/viewer.py target/release/introspect [MODEL FLAGS ...]

Prints the median and the slowest of 300 clicks (the map of a class that the page has not yet, over HTTP), then sends pictures from 8
clients for a minute (SECONDS=60) and prints rate, statuses and the server's memory at the beginning, in the middle and at the
end; then the same from 64 clients with a queue of 4, where 503 is the right answer.
"""

import collections
import http.client
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse

PHOTOGRAPH = (pathlib.Path(__file__).resolve().parents[1] / "assets" / "coffee.png").read_bytes()
SECONDS = float(os.environ.get("SECONDS", 60))


class Server:
    def __init__(self, program, flags):
        self.process = subprocess.Popen([program, "serve", "--address", "127.0.0.1:0", *flags], stdout=subprocess.PIPE, text=True)
        self.address = urllib.parse.urlparse(self.process.stdout.readline().strip()).netloc

    def memory(self):
        """Resident, in MB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self):
        self.process.send_signal(2)
        self.process.wait(timeout=20)


def ask(connection, method, path, body=None):
    connection.request(method, path, body)
    response = connection.getresponse()
    return response.status, response.read()


def clicks(server):
    connection = http.client.HTTPConnection(server.address)
    answer = json.loads(ask(connection, "POST", "/explain", PHOTOGRAPH)[1])
    classes = len(answer["logits"])
    times = []
    for _ in range(300):
        begin = time.perf_counter()
        status, _ = ask(connection, "GET", f"/pictures/{answer['id']}/cam/{random.randrange(classes)}")
        times.append(1000 * (time.perf_counter() - begin))
        assert status == 200
    print(f"a click, {classes} classes, {answer['model']} {answer['layer']}: median {statistics.median(times):.1f} ms, slowest {max(times):.1f} ms")


def crowd(server, clients):
    end, statuses, lock = time.time() + SECONDS, collections.Counter(), threading.Lock()

    def client():
        connection = http.client.HTTPConnection(server.address)
        while time.time() < end:
            status, _ = ask(connection, "POST", "/explain", PHOTOGRAPH)
            with lock:
                statuses[status] += 1

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    memory = []
    for _ in range(3):
        time.sleep(SECONDS / 3.2)
        memory.append(f"{server.memory():.0f}")
    for thread in threads:
        thread.join()
    print(f"{clients} clients for {SECONDS:.0f} s: {dict(statuses)}, {sum(statuses.values()) / SECONDS:.1f} answers a second; memory {', '.join(memory)} MB")


def main():
    program, flags = sys.argv[1], sys.argv[2:]
    server = Server(program, flags)
    clicks(server)
    crowd(server, 8)
    server.stop()
    server = Server(program, ["--queue", "4", *flags])
    crowd(server, 64)
    server.stop()


main()
