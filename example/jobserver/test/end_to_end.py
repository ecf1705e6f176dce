# Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
"""Runs the job server as a user does: end_to_end.py PROGRAM [TEST…]

Loopback only. A job that must not end by itself takes an hour; what is waited for is a state that the server reports.
"""

import concurrent.futures
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

PROGRAM = ""
HUNG = 100  # seconds after which the server itself counts as hanging
HOUR = 3_600_000


def fnv(text, rounds):
    total = 0xcbf29ce484222325
    for _ in range(rounds):
        for each in text.encode():
            total = (total ^ each) * 0x100000001b3 % 2**64
    return total


class Server:
    """A job server that runs."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([PROGRAM, "--port", "0", *map(str, arguments)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline().decode()
        found = re.fullmatch(r"listening on 127\.0\.0\.1 (\d+)\n", line)
        if not found:
            raise AssertionError((line, self.process.communicate()))
        self.port = int(found[1])

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=HUNG)

    def ask(self, method, path, body=None, connection=None):
        """Status, answer, and headers."""
        own = connection or self.connect()
        if isinstance(body, dict):
            body = json.dumps(body)
        own.request(method, path, body)
        said = own.getresponse()
        answer = json.loads(said.read())
        if not connection:
            own.close()
        return said.status, answer, said.headers

    def put(self, key, command, **settings):
        return self.ask("PUT", f"/jobs/{key}", {"command": command, **settings})[:2]

    def get(self, key):
        return self.ask("GET", f"/jobs/{key}")[:2]

    def delete(self, key):
        return self.ask("DELETE", f"/jobs/{key}")[:2]

    def list(self):
        status, answer, _ = self.ask("GET", "/jobs")
        assert status == 200, answer
        return answer

    def until(self, key, *states):
        """Waits until a job is in one of these states."""
        end = time.monotonic() + HUNG
        while time.monotonic() < end:
            status, job = self.get(key)
            if status == 200 and job["state"] in states:
                return job
            time.sleep(0.01)
        raise AssertionError((key, states, status, job))

    def until_replaced(self, count):
        """Waits until so many replaced jobs have ended, which they do in their own time. The list of that moment."""
        end = time.monotonic() + HUNG
        while time.monotonic() < end:
            seen = self.list()
            if seen["cancelled"]["replaced"] == count:
                return seen
            time.sleep(0.01)
        raise AssertionError((count, seen))

    def send_signal(self, how=signal.SIGTERM):
        self.process.send_signal(how)

    def wait(self):
        """The exit status, and what was written to standard error."""
        _, errors = self.process.communicate(timeout=HUNG)
        return self.process.returncode, errors.decode().splitlines()

    def end(self, how=signal.SIGTERM):
        self.send_signal(how)
        return self.wait()

    def abandon(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Case(unittest.TestCase):
    def serve(self, *arguments):
        server = Server(*arguments)
        self.addCleanup(server.abandon)
        return server

    def while_it_commits(self, what):
        """Does something with a server while its job "a" commits. `what` says whether it was in time."""
        for ms in (300, 3000, 30_000):
            server = self.serve()
            server.put("a", "commit", ms=ms)
            if server.until("a", "suspended", "done")["state"] == "suspended" and what(server):
                return
        self.fail("this machine is too slow")


class Jobs(Case):
    def test_a_job_is_started_and_leaves_its_result(self):
        server = self.serve()
        self.assertEqual(server.get("a")[0], 404)
        status, answer = server.put("a", "hash", text="word", rounds=10_000)
        self.assertEqual((status, answer["key"], answer["outcome"]), (201, "a", "started"))
        job = server.until("a", "done")
        self.assertEqual(job, {"key": "a", "id": answer["id"], "state": "done",
                               "result": {"hash": fnv("word", 10_000)}})
        self.assertEqual(server.get("a"), (200, job))  # it stays
        self.assertEqual(server.end(), (0, []))

    def test_each_command_does_its_work(self):
        server = self.serve("--running", 10)
        for key, settings, result in (
                ("sleep", {"ms": 1}, {"slept_ms": 1}), ("commit", {"ms": 1}, {"committed": True}),
                ("primes", {"below": 1000}, {"primes": 168, "below": 1000}),
                ("hash", {"text": "", "rounds": 100}, {"hash": 0xcbf29ce484222325})):
            self.assertEqual(server.put(key, key, **settings)[0], 201)
            self.assertEqual(server.until(key, "done")["result"], result)

    def test_a_job_may_fail(self):
        server = self.serve()
        server.put("a", "fail", message="out of luck")
        self.assertRegex(server.until("a", "failed")["reason"], "out of luck$")

    def test_a_deadline_ends_a_job(self):
        server = self.serve("--running", 1)
        for command, settings in (("sleep", {"ms": HOUR}), ("primes", {"below": 10**9}),
                                  ("hash", {"text": "x", "rounds": 10**12})):
            server.put("a", command, deadline_ms=20, **settings)
            self.assertEqual(server.until("a", "cancelled")["reason"], "timed_out")
        server.put("busy", "sleep", ms=HOUR)
        server.put("b", "sleep", ms=1, deadline_ms=20)  # while it waits, too
        self.assertEqual(server.until("b", "cancelled")["reason"], "timed_out")

    def test_a_delay_is_waited_for(self):
        server = self.serve()
        self.assertEqual(server.put("a", "sleep", ms=0, delay_ms=HOUR)[0], 202)
        self.assertEqual(server.get("a")[1]["state"], "waiting")
        self.assertEqual(server.put("b", "sleep", ms=0, delay_ms=10)[0], 202)
        server.until("b", "done")
        self.assertEqual(server.get("a")[1]["state"], "waiting")

    def test_delete_returns_when_the_job_has_ended(self):
        server = self.serve("--running", 1)
        for command, settings in (("sleep", {"ms": HOUR}), ("primes", {"below": 10**9}),
                                  ("hash", {"text": "x", "rounds": 10**12})):
            server.put("a", command, **settings)
            server.until("a", "running", "suspended")
            status, job = server.delete("a")
            self.assertEqual((status, job["state"], job["reason"]), (200, "cancelled", "aborted"))
            self.assertEqual((server.get("a")[0], server.list()["running"]), (404, 0))
        self.assertEqual(server.delete("a")[0], 404)

    def test_delete_waits_for_what_must_not_be_interrupted(self):
        def delete(server):
            status, job = server.delete("a")
            self.assertEqual((status, job["state"], job["result"]), (200, "done", {"committed": True}))
            self.assertEqual(server.list()["running"], 0)
            return True

        self.while_it_commits(delete)

    def test_delete_forgets_a_result(self):
        server = self.serve()
        server.put("a", "sleep", ms=0)
        job = server.until("a", "done")
        self.assertEqual(server.delete("a"), (200, job))
        self.assertEqual(server.delete("a")[0], 404)

    def test_the_list_counts_everything(self):
        server = self.serve("--running", 1)
        for key, command, settings, state in (("a", "sleep", {"ms": 0}, "done"),
                                              ("b", "fail", {"message": "x"}, "failed")):
            server.put(key, command, **settings)
            server.until(key, state)
        server.put("c", "sleep", ms=HOUR)
        server.until("c", "suspended")
        server.put("d", "primes", below=10)
        seen = server.list()
        jobs = {each["key"]: (each["command"], each["state"]) for each in seen.pop("jobs")}
        self.assertEqual(jobs, {"c": ("sleep", "suspended"), "d": ("primes", "waiting")})
        cancelled = seen.pop("cancelled")
        self.assertEqual(sum(cancelled.values()), 0)
        self.assertEqual(seen, {"running": 1, "waiting": 1, "spawned": 4, "done": 1, "failed": 1})
        server.delete("c")
        server.until("d", "done")
        self.assertEqual(server.list()["cancelled"]["aborted"], 1)


class Conflicts(Case):
    def test_replace_puts_the_new_job_in_the_place_of_the_old(self):
        server = self.serve()
        server.put("a", "sleep", ms=HOUR)
        self.assertEqual(server.put("a", "sleep", ms=0)[0], 200)
        self.assertEqual(server.until("a", "done")["result"], {"slept_ms": 0})
        server.until_replaced(1)

    def test_keep_leaves_the_old_job(self):
        server = self.serve()
        _, first = server.put("a", "sleep", ms=HOUR)
        status, second = server.put("a", "sleep", ms=0, conflict="keep")
        self.assertEqual((status, second["outcome"], second["id"]), (200, "kept", first["id"]))

    def test_replace_after_exit_waits_for_the_end(self):
        def replace(server):
            status, answer = server.put("a", "sleep", ms=0, conflict="replace_after_exit")
            if status != 202:
                return False
            self.assertEqual(answer["outcome"], "queued")
            self.assertEqual(server.until("a", "done")["result"], {"slept_ms": 0})
            return True

        self.while_it_commits(replace)

    def test_queue_latest_runs_the_newest_when_the_first_has_ended(self):
        def queue(server):
            if any(server.put("a", "sleep", ms=ms, conflict="queue_latest")[0] != 202 for ms in range(5)):
                return False
            while server.until("a", "done")["result"] != {"slept_ms": 4}:
                pass
            self.assertEqual(server.until_replaced(4)["done"], 2)
            return True

        self.while_it_commits(queue)

    def test_delete_ends_what_runs_and_what_is_queued(self):
        server = self.serve()
        server.put("a", "sleep", ms=HOUR)
        server.until("a", "suspended")
        self.assertEqual(server.put("a", "sleep", ms=0, conflict="queue_latest")[0], 202)
        self.assertEqual(server.delete("a")[0], 200)
        self.assertEqual((server.get("a")[0], server.list()["jobs"]), (404, []))


class Limits(Case):
    def test_too_many_jobs_are_told_to_come_back(self):
        server = self.serve("--running", 2, "--waiting", 3)
        statuses = [server.put(f"a{i}", "sleep", ms=HOUR)[0] for i in range(5)]
        self.assertEqual(statuses, [201, 201, 202, 202, 202])
        status, answer, headers = server.ask("PUT", "/jobs/b", {"command": "sleep", "ms": 0})
        self.assertEqual((status, headers["Retry-After"]), (429, "1"), answer)
        self.assertEqual(server.get("b")[0], 404)
        self.assertEqual(server.put("a4", "sleep", ms=0)[0], 202)  # one that waits may be replaced
        server.delete("a0")
        self.assertEqual(server.put("b", "sleep", ms=0)[0], 202)

    def test_results_are_bounded(self):
        server = self.serve("--results", 3)
        for i in range(5):
            server.put(f"a{i}", "sleep", ms=0)
            server.until(f"a{i}", "done")
        self.assertEqual([server.get(f"a{i}")[0] for i in range(5)], [404, 404, 200, 200, 200])

    def test_many_clients_at_once(self):
        server = self.serve("--running", 3, "--waiting", 1000, "--threads", 4)

        def use(number):
            outcomes = set()
            for i in range(20):
                key = f"k{(number + i) % 5}"
                conflict = ("replace", "keep", "replace_after_exit", "queue_latest")[i % 4]
                outcomes.add(server.put(key, "hash", text="x", rounds=100_000, conflict=conflict)[0])
                outcomes.add(server.get(key)[0])
                if i % 5 == 4:
                    outcomes.add(server.delete(key)[0])
            return outcomes

        with concurrent.futures.ThreadPoolExecutor(8) as clients:
            for outcomes in clients.map(use, range(8)):
                self.assertEqual(outcomes - {200, 201, 202, 404}, set())
        for i in range(5):
            server.delete(f"k{i}")
        seen = server.list()
        self.assertEqual((seen["jobs"], seen["waiting"]), ([], 0))
        self.assertEqual(server.end(), (0, []))


class Requests(Case):
    def test_a_body_that_makes_no_sense_is_refused(self):
        server = self.serve()
        for body in ("", "x", "[]", "null", '"sleep"', "{}", '{"command": 1}', '{"command": "rm -rf"}',
                     '{"command": "sleep"}', '{"command": "sleep", "ms": "1"}',
                     '{"command": "sleep", "ms": -1}', '{"command": "sleep", "ms": 1.5}',
                     '{"command": "sleep", "ms": 1e30}', '{"command": "sleep", "ms": 1, "x": 1}',
                     '{"command": "sleep", "ms": 1, "text": "x"}', '{"command": "sleep", "ms": 1, "": 1}',
                     '{"command": "sleep", "ms": 1, "conflict": "x"}',
                     '{"command": "sleep", "ms": 1, "delay_ms": null}',
                     '{"command": "sleep", "ms": 1, "deadline_ms": []}',
                     '{"command": "hash", "rounds": 1, "text": 1}', "[" * 1000):
            status, answer, _ = server.ask("PUT", "/jobs/a", body)
            self.assertEqual((status, list(answer)), (400, ["error"]), body)
        self.assertEqual(server.list()["spawned"], 0)

    def test_what_is_not_there_is_told_apart(self):
        server = self.serve()
        for method, path, expected in (
                ("GET", "/", 404), ("GET", "/jobs/", 400), ("GET", "/jobs/a/b", 400), ("GET", "/jobs/none", 404),
                ("DELETE", "/jobs/none", 404), ("PUT", "/jobs/%2e%2e", 400), ("PUT", "/jobs/" + "x" * 101, 400),
                ("GET", "/jobs/" + "x" * 100, 404), ("POST", "/jobs", 405), ("DELETE", "/jobs", 405),
                ("POST", "/jobs/a", 405), ("BREW", "/jobs/a", 405)):
            status, _, headers = server.ask(method, path)
            self.assertEqual(status, expected, (method, path))
            self.assertEqual("Allow" in headers, expected == 405)

    def test_what_is_too_large_is_refused(self):
        server = self.serve()
        for size in (16_385, 3_000_000):
            self.assertEqual(server.ask("PUT", "/jobs/a", "x" * size)[0], 413)
        self.assertEqual(server.ask("PUT", "/jobs/a", "x" * 16_384)[0], 400)
        self.assertEqual(server.ask("GET", "/jobs/" + "x" * 10_000)[0], 431)

    def test_what_is_not_http_is_refused(self):
        server = self.serve()
        for text in (b"\x16\x03\x01\x02\x00\x01\x00\x01", b"hello\r\n\r\n", b"GET /jobs HTTP/9.9\r\n\r\n",
                     b"GET /jobs HTTP/1.1\r\nno colon\r\n\r\n",
                     b"PUT /jobs/a HTTP/1.1\r\nContent-Length: many\r\n\r\n",
                     b"PUT /jobs/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"):
            with socket.create_connection(("127.0.0.1", server.port), HUNG) as client:
                client.sendall(text)
                answer = client.makefile("rb").read()
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), (text, answer))

    def test_a_connection_serves_many_requests(self):
        server = self.serve()
        connection = server.connect()
        for i in range(50):
            self.assertEqual(server.ask("PUT", f"/jobs/k{i % 3}", {"command": "sleep", "ms": 0},
                                        connection)[0] // 100, 2)
        connection.close()


class Connections(Case):
    def test_a_slow_client_does_not_stay(self):
        server = self.serve("--timeout", 200)
        for text in (b"", b"PUT /jo", b"PUT /jobs/a HTTP/1.1\r\nContent-Length: 10\r\n\r\n{"):
            with socket.create_connection(("127.0.0.1", server.port), HUNG) as client:
                client.sendall(text)
                self.assertEqual(client.makefile("rb").read(), b"")

    def test_beyond_the_limit_a_client_waits_for_its_turn(self):
        server = self.serve("--connections", 1, "--timeout", HOUR)
        with socket.create_connection(("127.0.0.1", server.port), HUNG) as first:
            first.sendall(b"GET /jobs HTTP/1.1\r\n\r\n")
            self.assertTrue(first.recv(1000).startswith(b"HTTP/1.1 200 "))
            with socket.create_connection(("127.0.0.1", server.port), HUNG) as second:
                second.sendall(b"GET /jobs HTTP/1.1\r\n\r\n")
                second.settimeout(0.2)
                self.assertRaises(TimeoutError, second.recv, 1)
                first.close()
                second.settimeout(HUNG)
                self.assertTrue(second.recv(1000).startswith(b"HTTP/1.1 200 "))

    def test_one_that_goes_in_the_midst_harms_nobody(self):
        server = self.serve()
        for text in (b"PUT /jobs/a HTTP/1.1\r\nContent-Length: 10\r\n\r\n{", b"GET", b"DELETE /jobs/a HTTP/1.1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", server.port), HUNG) as client:
                client.sendall(text)
        self.assertEqual(server.put("a", "sleep", ms=0)[0], 201)


class Endings(Case):
    def test_jobs_under_way_may_finish(self):
        for how in (signal.SIGINT, signal.SIGTERM):
            server = self.serve("--grace", HOUR)
            server.put("a", "sleep", ms=200)
            server.put("b", "primes", below=10**9)  # hears that it should come to an end
            server.until("a", "suspended", "done")
            server.until("b", "running", "suspended")
            self.assertEqual(server.end(how), (0, []))

    def test_what_was_aborted_is_named(self):
        server = self.serve("--grace", 100)
        for key, command, settings in (("a", "sleep", {"ms": HOUR}), ("b", "hash", {"text": "x", "rounds": 10**12}),
                                       ("c", "commit", {"ms": 500}), ("d", "sleep", {"ms": 0, "delay_ms": HOUR})):
            self.assertLess(server.put(key, command, **settings)[0], 300)
        server.until("c", "suspended", "done")  # which finishes in any case
        self.assertEqual(server.end(), (1, [f"jobserver: aborted: {key}" for key in "abd"]))

    def test_what_does_not_end_is_left_and_named(self):
        server = self.serve("--grace", 50, "--patience", 50)
        server.put("a", "commit", ms=HOUR)
        server.until("a", "suspended")
        self.assertEqual(server.end(), (1, ["jobserver: still running: a"]))

    def test_a_client_that_waits_for_the_end_of_a_job_does_not_delay_it(self):
        server = self.serve("--grace", 50, "--patience", 50)
        server.put("a", "commit", ms=HOUR)
        server.until("a", "suspended")
        with socket.create_connection(("127.0.0.1", server.port), HUNG) as client:
            client.sendall(b"DELETE /jobs/a HTTP/1.1\r\n\r\n")
            server.until("a", "held")
            self.assertEqual(server.end(), (1, ["jobserver: still running: a"]))

    def test_while_it_stops_it_answers_but_takes_no_jobs(self):
        server = self.serve("--grace", HOUR)
        server.put("a", "sleep", ms=HOUR)
        server.until("a", "suspended")
        old = [server.connect(), server.connect()]
        for each in old:
            self.assertEqual(server.ask("GET", "/jobs/a", None, each)[0], 200)
        server.send_signal()
        status = 200
        while status != 503:  # it hears of the signal within a moment
            status, _, headers = server.ask("PUT", "/jobs/b", {"command": "sleep", "ms": 0}, old[0])
        self.assertEqual(headers["Connection"], "close")
        self.assertRaises(ConnectionError, server.get, "a")
        status, job, _ = server.ask("DELETE", "/jobs/a", None, old[1])
        self.assertEqual((status, job["state"]), (200, "cancelled"))
        status, errors = server.wait()
        self.assertEqual((status, errors), (0, []))
        for each in old:
            each.close()

    def test_a_connection_that_is_idle_does_not_delay_it(self):
        server = self.serve("--timeout", HOUR)
        with socket.create_connection(("127.0.0.1", server.port), HUNG) as idle:
            idle.sendall(b"GET /jobs HTTP/1.1\r\n\r\n")
            self.assertTrue(idle.recv(1000).startswith(b"HTTP/1.1 200 "))
            self.assertEqual(server.end(), (0, []))


class CommandLine(Case):
    def run_program(self, *arguments):
        return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, timeout=HUNG,
                              check=False)

    def test_wrong_use_is_told_apart(self):
        server = self.serve()
        for arguments in (("--no-such-option",), ("--port", "x"), ("--port", "70000"), ("--running", "0"),
                          ("--address", "nowhere"), ("--port", server.port), ("--grace", "-1"), ("x",)):
            done = self.run_program(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, b""), arguments)
            self.assertRegex(done.stderr.decode(), "^jobserver: ", arguments)

    def test_help_is_no_error(self):
        done = self.run_program("--help")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(b"--port", done.stdout)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
