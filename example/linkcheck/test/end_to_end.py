# Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
"""Runs the link checker as a user does, against servers that misbehave: end_to_end.py PROGRAM [TEST…]

Every server is on loopback. A request has two seconds where a server that hangs is the subject, and
far more than it needs elsewhere, so that a slow machine changes nothing.
"""

import json
import os
import pathlib
import pty
import select
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

from hostile_server import (Server, for_ever, hang, in_turn, links, page, redirect, refusing_port,
                            then_hang, then_reset)

PROGRAM = ""
HUNG = 100  # seconds after which the link checker itself counts as hanging


class Case(unittest.TestCase):
    """A server of its own, and the link checker to point at it."""

    def serve(self, routes=None, tls=None):
        server = Server(routes, tls)
        self.addCleanup(server.close)
        return server

    def run_program(self, *arguments, **settings):
        return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, timeout=HUNG,
                              check=False, **settings)

    def check(self, *arguments, retries=0, timeout=60):
        """The exit status and the whole report; no link may be missing from it."""
        done = self.run_program("--format", "json", "--verbose", "--retries", retries,
                                "--timeout", timeout, *arguments)
        self.assertEqual(done.stderr, b"")
        report = json.loads(done.stdout)
        self.expect_complete(report)
        return done.returncode, report

    def expect_complete(self, report):
        summary = report["summary"]
        lists = ("fine", "broken", "skipped", "unchecked")
        self.assertEqual(summary["links"], sum(summary[each] for each in lists))
        for each in lists:
            if each in report:
                self.assertEqual(summary[each], len(report[each]))

    def problems(self, report):
        return {each["url"]: (each["kind"], each["message"]) for each in report["broken"]}

    def check_route(self, route, *arguments, **settings):
        """What is said of one link that stands on an otherwise flawless site."""
        server = self.serve({"/": links("/x"), "/x": route})
        status, report = self.check(server.url(), *arguments, **settings)
        problems = self.problems(report)
        self.assertEqual(report["summary"]["links"], 2)
        if not problems:
            self.assertEqual(status, 0)
            return None
        self.assertEqual(status, 1)
        self.assertEqual(list(problems), [server.url("/x")])
        self.assertEqual(report["broken"][0]["places"], [{"page": server.url(), "lines": [1]}])
        return problems[server.url("/x")]


class Answers(Case):
    """A server that answers, but not as one would wish."""

    def test_an_error_status_is_reported_in_the_servers_words(self):
        for line, expected in (("404 Not Found", "404 Not Found"), ("410 ", "410 Gone"),
                               ("418 I'm a teapot", "418 I'm a teapot"),
                               ("500 Oh dear", "500 Oh dear"), ("999 ", "999 <unknown-status>")):
            self.assertEqual(self.check_route(page("", line)), ("http_status", expected))

    def test_success_without_a_page_is_fine(self):
        for answer in (b"HTTP/1.1 204 No Content\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                       b"HTTP/1.0 200 OK\r\n\r\nno length, no type",
                       b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"):
            self.assertIsNone(self.check_route(answer))

    def test_what_is_not_http_is_called_so(self):
        for answer in (b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00\xff\x15\x03\x01" * 100,
                       b"<html><a href=x></html>", b"HTTP/x.y 200 OK\r\n\r\n",
                       b"HTTP/1.1 abc OK\r\n\r\n"):
            kind, message = self.check_route(answer)
            self.assertEqual(kind, "not_http", answer)
            self.assertRegex(message, "^the answer is (not|bad) HTTP: ")

    def test_a_malformed_header_is_reported(self):
        for header in (b"no colon", b"a b: c", b"Content-Length: many",
                       b"Content-Length: 1\r\nContent-Length: 2", b"Content-Length: -1"):
            kind, _ = self.check_route(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\n")
            self.assertEqual(kind, "not_http", header)

    def test_a_header_has_a_limit(self):
        expected = ("too_large", "a header of more than 16384 bytes")
        long_line = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"
        self.assertEqual(self.check_route(long_line), expected)
        endless = for_ever(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000)
        self.assertEqual(self.check_route(endless), expected)

    def test_interim_answers_have_a_limit(self):
        endless = for_ever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")
        self.assertEqual(self.check_route(endless),
                         ("not_http", "the answer is bad HTTP: too many interim answers"))

    def test_a_body_has_a_limit(self):
        expected = ("too_large", "a body of more than 100000 bytes")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
        declared = head + b"Content-Length: 100001\r\n\r\n"
        endless = for_ever(head + b"\r\n", b"<p>" * 10_000)
        chunked = for_ever(head + b"Transfer-Encoding: chunked\r\n\r\n",
                           b"ff\r\n" + b"x" * 255 + b"\r\n")
        for route in (declared, endless, chunked):
            self.assertEqual(self.check_route(route, "--max-body", "100000"), expected)

    def test_a_body_that_is_no_page_is_not_read(self):
        endless = for_ever(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\n", b"x" * 10_000)
        self.assertIsNone(self.check_route(endless, "--max-body", "1000"))

    def test_a_page_that_ends_too_early_is_reported(self):
        short = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\n<p>"
        self.assertEqual(self.check_route(short),
                         ("reset", "the connection was closed in the midst of the answer"))
        self.assertEqual(self.check_route(b"HTTP/1.1 200 OK\r\nContent-Ty"),
                         ("reset", "the connection was closed in the midst of the answer"))
        self.assertEqual(self.check_route(b""),
                         ("reset", "the connection was closed without an answer"))

    def test_broken_chunks_are_reported(self):
        head = (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n")
        for chunks in (b"xyz\r\n", b"3\r\nabcdef\r\n", b"fffffffffffffffffff\r\n"):
            kind, message = self.check_route(head + chunks)
            self.assertEqual((kind, message[:23]), ("not_http", "the answer is bad HTTP:"), chunks)
        self.assertEqual(self.check_route(head + b"5\r\nab")[0], "reset")

    def test_chunks_and_encodings_are_understood(self):
        chunked = (b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=latin1\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\n"
                   b"8\r\n<a href=\r\n5;x=y\r\n\"\xe4\"> \r\n0\r\nTrailer: x\r\n\r\n")
        server = self.serve({"/": chunked, "/%C3%A4": page("")})
        status, report = self.check(server.url())
        self.assertEqual((status, report["summary"]["fine"]), (0, 2))

    def test_an_encoding_that_was_not_asked_for_is_reported(self):
        kind, message = self.check_route(page("x", headers="Content-Encoding: gzip\r\n"))
        self.assertEqual(kind, "not_http")
        self.assertIn("gzip", message)

    def test_a_server_that_knows_no_head_is_asked_with_get(self):
        other = self.serve({"/": in_turn(page("", "405 Method Not Allowed"), page("")),
                            "/hangs-up": in_turn(b"", page(""))})
        server = self.serve({"/": links(other.url(), other.url("/hangs-up"))})
        status, _ = self.check(server.url())
        self.assertEqual(status, 0)
        for path in ("/", "/hangs-up"):
            self.assertEqual((other.count(path, "HEAD"), other.count(path, "GET")), (1, 1))

    def test_a_page_that_takes_too_long_to_parse_is_reported(self):
        # The standard wants a tree of quadratic size for this.
        bomb = "".join(f"<font size={i}><p>" for i in range(20_000))
        self.assertEqual(self.check_route(page(bomb)), ("too_complex", "too complex to be parsed"))
        deep = "<div>" * 400_000  # the parser looks at all that are open for each of them
        self.assertEqual(self.check_route(page(deep), timeout=2),
                         ("too_complex", "too complex to be parsed"))


class Connections(Case):
    """A server that cannot be reached, or not for long."""

    def test_a_refused_connection_is_reported(self):
        keeper, port = refusing_port()
        with keeper:
            status, report = self.check(f"http://127.0.0.1:{port}/")
        self.assertEqual(status, 1)
        self.assertEqual(report["broken"][0]["kind"], "connect")
        self.assertEqual(report["broken"][0]["message"], "cannot connect: Connection refused")
        self.assertEqual(report["broken"][0]["places"], [{}])

    def test_a_name_that_cannot_be_resolved_is_reported(self):
        # Names that no resolver needs to ask anybody about.
        names = ["x" * 64 + ".example", "a..b"]
        server = self.serve({"/": links(*(f"http://{name}/" for name in names))})
        status, report = self.check(server.url())
        self.assertEqual(status, 1)
        self.assertEqual(len(report["broken"]), 2)
        for each in report["broken"]:
            self.assertEqual(each["kind"], "dns")
            self.assertRegex(each["message"], "^cannot resolve the host name")

    def test_a_server_that_hangs_is_left(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
        dripping = for_ever(head + b"Content-Length: 1000\r\n\r\n", b"x", 0.1)
        for route, expected in ((hang, "no answer within 2 s"),
                                (then_hang(b"HT"), "no answer within 2 s"),
                                (then_hang(head), "no answer within 2 s"),
                                (then_hang(head + b"Content-Length: 9\r\n\r\nx"),
                                 "no end of the answer within 2 s"),
                                (then_hang(head + b"\r\n<p>"), "no end of the answer within 2 s"),
                                (dripping, "no end of the answer within 2 s")):
            self.assertEqual(self.check_route(route, timeout=2), ("timeout", expected))

    def test_a_reset_is_reported(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n"
        for route in (then_reset(), then_reset(b"HTTP/1.1 200"), then_reset(head + b"x")):
            kind, message = self.check_route(route)
            self.assertEqual(kind, "reset")
            self.assertEqual(message, "the connection broke: Connection reset by peer")

    def test_what_may_pass_is_tried_again(self):
        busy = page("", "503 Service Unavailable")
        server = self.serve({"/": links("/busy", "/breaks", "/gone", "/down"),
                             "/busy": in_turn(busy, busy, page("")),
                             "/breaks": in_turn(then_reset(), page("")),
                             "/down": busy})
        _, report = self.check(server.url(), retries=2)
        self.assertEqual(self.problems(report),
                         {server.url("/gone"): ("http_status", "404 Not Found"),
                          server.url("/down"): ("http_status", "503 Service Unavailable")})
        counts = [server.count(path) for path in ("/busy", "/breaks", "/gone", "/down")]
        self.assertEqual(counts, [3, 2, 1, 3])


class Secure(Case):
    """HTTPS, and what it must not be mistaken for."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.make_certificate("right", "IP:127.0.0.1")
        cls.make_certificate("other", "DNS:other.example")

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    @classmethod
    def make_certificate(cls, name, subject):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                        "-addext", f"subjectAltName={subject}", "-keyout", cls.path(name + ".key"),
                        "-out", cls.path(name + ".pem")], check=True, capture_output=True)

    def tls(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(name + ".pem"), self.path(name + ".key"))
        return context

    def problem(self, url, *arguments, **settings):
        status, report = self.check(url, *arguments, **settings)
        self.assertEqual(status, 1)
        return self.problems(report)[url]

    def test_a_site_with_a_trusted_certificate_is_checked(self):
        # The last page has no length: it ends with a connection that is not closed as TLS wants it.
        server = self.serve({"/": links("/a", "/b"), "/a": page(""),
                             "/b": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p id=x>"},
                            self.tls("right"))
        status, report = self.check("--ca-file", self.path("right.pem"), server.url())
        self.assertEqual((status, report["summary"]["fine"]), (0, 3))

    def test_a_self_signed_certificate_is_not_trusted(self):
        server = self.serve({"/": page("")}, self.tls("right"))
        self.assertEqual(self.problem(server.url()),
                         ("tls", "the certificate cannot be trusted: self-signed certificate"))
        self.assertEqual(server.requests, [])

    def test_the_certificate_of_another_host_is_not_trusted(self):
        server = self.serve({"/": page("")}, self.tls("other"))
        kind, message = self.problem(server.url(), "--ca-file", self.path("other.pem"))
        self.assertEqual(kind, "tls")
        self.assertIn("IP address mismatch", message)

    def test_plain_http_is_no_tls(self):
        server = RawServer(page("", "400 Bad Request"))
        self.addCleanup(server.close)
        kind, message = self.problem(server.url().replace("http:", "https:"))
        self.assertEqual((kind, message), ("tls", "no secure connection: wrong version number"))

    def test_tls_is_no_plain_http(self):
        server = self.serve({"/": page("")}, self.tls("right"))
        kind, _ = self.problem(server.url().replace("https:", "http:"))
        self.assertIn(kind, ("not_http", "reset"))

    def test_garbage_and_silence_are_no_tls(self):
        for route, expected in ((b"\x16\x03\x01 garbage", "no secure connection"),
                                (b"", "no secure connection"),
                                (hang, "no secure connection within 2 s")):
            server = RawServer(route)
            self.addCleanup(server.close)
            kind, message = self.problem(f"https://127.0.0.1:{server.port}/", timeout=2)
            self.assertEqual(kind, "tls")
            self.assertIn(expected, message)


class RawServer(Server):
    """Gives the same answer to everybody, before they have asked."""

    def __init__(self, route):
        self.route = route
        super().__init__()

    def _answer(self, connection):
        if callable(self.route):
            self.route(connection, b"")
        else:
            connection.sendall(self.route)


class Redirects(Case):
    def test_a_chain_is_followed_up_to_the_limit(self):
        routes = {f"/{i}": redirect(f"/{i + 1}") for i in range(5)}
        server = self.serve({"/": links("/0", "/1"), "/5": page("end"), **routes})
        _, report = self.check("--max-redirects", 4, server.url())
        self.assertEqual(self.problems(report),
                         {server.url("/0"): ("redirect", "more than 4 redirects")})

    def test_a_chain_without_end_is_left(self):
        class Endless(dict):
            def get(self, path, default=None):
                return redirect(path + "x") if path.startswith("/x") else dict.get(self, path,
                                                                                   default)

        server = self.serve()
        server.routes = Endless({"/": links("/x")})
        _, report = self.check(server.url())
        self.assertEqual(self.problems(report)[server.url("/x")],
                         ("redirect", "more than 10 redirects"))
        self.assertEqual(len(server.requests), 12)

    def test_a_loop_is_reported_with_its_members(self):
        server = self.serve({"/": links("/a"), "/a": redirect("b"), "/b": redirect("/a")})
        _, report = self.check(server.url())
        expected = " -> ".join((server.url("/a"), server.url("/b"), server.url("/a")))
        self.assertEqual(self.problems(report)[server.url("/a")],
                         ("redirect", "redirect loop: " + expected))

    def test_a_redirect_into_the_void_is_reported(self):
        for answer, expected in (
                (page("", "302 Found"), ("redirect", "302 Found, but not where to")),
                (redirect("http://"), ("redirect", "redirects to a malformed URL: no host")),
                (redirect("http://[/"), ("redirect",
                                         "redirects to a malformed URL: invalid host '['"))):
            self.assertEqual(self.check_route(answer), expected)
        kind, message = self.check_route(redirect("/gone", "308 Permanent Redirect"))
        self.assertEqual(kind, "http_status")
        self.assertRegex(message, r"^redirects to \S+/gone: 404 Not Found$")

    def test_the_host_that_a_start_leads_to_is_checked(self):
        home = self.serve({"/": links("/a"), "/a": links("/gone")})
        server = self.serve({"/": redirect(home.url())})
        _, report = self.check(server.url())
        self.assertEqual(list(self.problems(report)), [home.url("/gone")])


class Fragments(Case):
    def test_are_looked_for_on_the_page(self):
        other = self.serve({"/": page("<p id=there>")})
        server = self.serve({
            "/": links("#a", "#b", "p#%C3%A4", "p#c", "plain#x", "old#new", "#top",
                       other.url("/#there"), other.url("/#missing"), other.url()),
            "/p": page("<p id='ä'>".encode(), content_type="text/html; charset=utf-8"),
            "/plain": page("x", content_type="text/plain"), "/old": redirect("/p#d")})
        _, report = self.check(server.url())
        expected = {server.url("/#a"), server.url("/#b"), server.url("/p#c"),
                    server.url("/old#new"), other.url("/#missing")}
        self.assertEqual(set(self.problems(report)), expected)
        self.assertEqual({kind for kind, _ in self.problems(report).values()}, {"fragment"})
        _, report = self.check("--no-fragments", server.url())
        self.assertEqual(self.problems(report), {})


class Accounting(Case):
    """No link is lost, none is asked for twice."""

    def site(self):
        keeper, port = refusing_port()
        self.addCleanup(keeper.close)
        other = self.serve({"/": page(""), "/gone": page("", "404 Not Found")})
        pages = {f"/{i}": links("/", f"/{i + 1}", f"/{i % 7}#missing", "/gone", other.url(),
                                other.url("/gone"), "mailto:x", "http://a b/", "%zz")
                 for i in range(40)}
        return other, self.serve({
            **pages,
            "/": links("/0", "/hang", "/reset", "/garbage", "/loop", "tel:1", "javascript:void(0)",
                       f"http://127.0.0.1:{port}/"),
            "/40": page("the last"), "/hang": hang, "/reset": then_reset(),
            "/garbage": b"garbage\r\n", "/loop": redirect("/loop")})

    def test_every_link_is_in_the_report_once(self):
        other, server = self.site()
        for jobs in (1, 32):
            status, report = self.check("--jobs", jobs, server.url(), timeout=2)
            self.assertEqual(status, 1)
            urls = [each["url"] for each in report["broken"] + report["fine"] +
                    report["skipped"] + report["unchecked"]]
            self.assertEqual(len(urls), len(set(urls)))
            summary = report["summary"]
            # The start, 41 pages, 4 bad routes, 1 that is gone, 7 fragments; 3 elsewhere; 3 that
            # are skipped; 2 malformed.
            self.assertEqual(summary["links"], 1 + 41 + 4 + 1 + 7 + 3 + 3 + 2)
            self.assertEqual(summary["skipped"], 3)
            self.assertEqual(summary["broken"], 4 + 1 + 7 + 2 + 2)
            self.assertEqual(summary["unchecked"], 0)
            self.assertEqual(summary["pages"], 42)
        gone = self.problems(report)[other.url("/gone")]
        self.assertEqual(gone, ("http_status", "404 Not Found"))

    def test_every_url_is_asked_for_once(self):
        other, server = self.site()
        self.check(server.url(), timeout=2)
        self.assertEqual(len(server.requests), len(set(server.requests)))
        self.assertEqual(len(server.requests), 1 + 41 + 4 + 1)
        self.assertEqual(sorted(other.requests), [("GET", "/gone"), ("HEAD", "/"),
                                                  ("HEAD", "/gone")])

    def test_a_broken_link_is_reported_with_all_its_pages(self):
        other, server = self.site()
        _, report = self.check(server.url(), timeout=2)
        places = next(each["places"] for each in report["broken"]
                      if each["url"] == server.url("/gone"))
        self.assertEqual({each["page"] for each in places},
                         {server.url(f"/{i}") for i in range(40)})
        self.assertEqual(places[0]["lines"], [4])

    def test_urls_beyond_the_limit_are_counted(self):
        _, server = self.site()
        status, report = self.check("--max-urls", 10, server.url(), timeout=2)
        self.assertEqual(status, 1)
        self.assertEqual({each["kind"] for each in report["unchecked"]}, {"limit"})
        self.assertLessEqual(len(server.requests), 10)

    def test_external_links_are_skipped_if_so_wanted(self):
        other, server = self.site()
        _, report = self.check("--no-external", server.url(), timeout=2)
        self.assertEqual(other.requests, [])
        self.assertEqual(sum(each["kind"] == "external" for each in report["skipped"]), 3)


class Refusals(Case):
    def test_a_host_that_keeps_refusing_is_given_up(self):
        keeper, port = refusing_port()
        with keeper:
            targets = [f"http://127.0.0.1:{port}/{i}" for i in range(60)]
            server = self.serve({"/": links("/a", *targets), "/a": page("")})
            for jobs in (1, 8):
                status, report = self.check("--jobs", jobs, server.url())
                self.assertEqual(status, 1)
                broken, unchecked = report["broken"], report["unchecked"]
                self.assertEqual(len(broken) + len(unchecked), 60)
                self.assertGreaterEqual(len(broken), 5)
                self.assertLessEqual(len(broken), 5 + jobs)
                self.assertEqual({each["kind"] for each in broken}, {"connect"})
                self.assertEqual({each["kind"] for each in unchecked}, {"host"})
                self.assertEqual(report["summary"]["fine"], 2)

    def test_requests_under_way_to_such_a_host_are_called_off(self):
        # One host: most of its URLs hang in the handshake, some are refused at once, one after the
        # other, so that none is on its way when the host is given up. Nobody waits for those that hang.
        class Fickle(Server):
            def _serve(self, connection):
                with self.arrived:
                    self.requests.append(("", ""))
                    self.arrived.notify_all()
                    number = len(self.requests)
                if number <= 6:
                    hang(connection, b"")
                connection.close()

        fickle = Fickle()
        self.addCleanup(fickle.close)
        targets = [f"https://127.0.0.1:{fickle.port}/{i}" for i in range(20)]
        server = self.serve({"/": links(*targets)})
        started = time.monotonic()
        _, report = self.check("--jobs", 7, server.url(), timeout=HUNG)
        self.assertLess(time.monotonic() - started, HUNG / 2)
        self.assertEqual({each["kind"] for each in report["broken"]}, {"tls"})
        self.assertEqual(len(report["broken"]), 5)
        self.assertEqual(len(report["unchecked"]), 15)


class Interrupts(Case):
    """Ctrl-C and SIGTERM: nothing that was found is lost."""

    def interrupt(self, number, server, requests, *arguments):
        process = subprocess.Popen([PROGRAM, "--format", "json", "--verbose", "--timeout",
                                    str(HUNG), *arguments, server.url()],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            self.assertTrue(server.wait_for(requests))
            time.sleep(0.3)  # for what has been answered to be taken in
            sent = time.monotonic()
            process.send_signal(number)
            out, err = process.communicate(timeout=HUNG)
        finally:
            process.kill()
        self.assertLess(time.monotonic() - sent, HUNG / 3)
        self.assertEqual(err, b"")
        self.assertEqual(process.returncode, 1)
        report = json.loads(out)
        self.expect_complete(report)
        self.assertTrue(report["summary"]["interrupted"])
        return report

    def test_the_report_says_what_was_found_and_what_was_not_checked(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            server = self.serve({"/": links("/gone", "/a", *(f"/hang/{i}" for i in range(30))),
                                 "/a": page(""), **{f"/hang/{i}": hang for i in range(30)}})
            report = self.interrupt(number, server, 3 + 8, "--jobs", "8")
            self.assertEqual(list(self.problems(report)), [server.url("/gone")])
            self.assertEqual(report["summary"]["unchecked"], 30)
            self.assertEqual(report["summary"]["links"], 33)
            self.assertEqual({each["kind"] for each in report["unchecked"]}, {"interrupted"})

    def test_what_waits_for_another_try_does_not_delay_it(self):
        server = self.serve({"/": links("/busy"), "/busy": page("", "503 Service Unavailable")})
        report = self.interrupt(signal.SIGINT, server, 6, "--retries", "100")
        self.assertEqual(report["summary"]["unchecked"], 1)

    def test_a_page_that_is_being_parsed_does_not_delay_it(self):
        deep = page("<div>" * 400_000)  # the parser looks at all that are open for each of them
        server = self.serve({"/": links("/deep"), "/deep": deep})
        report = self.interrupt(signal.SIGINT, server, 2)
        self.assertEqual(report["summary"]["unchecked"], 1)


class CommandLine(Case):
    def test_wrong_use_is_told_apart(self):
        server = self.serve({"/": page("")})
        with tempfile.NamedTemporaryFile() as no_certificate:
            for arguments in ((), ("--no-such-option", server.url()), ("--jobs", "0", server.url()),
                              ("--jobs", "many", server.url()), ("--format", "xml", server.url()),
                              ("--timeout", "-1", server.url()), ("--max-body", "x", server.url()),
                              ("--serve", "/no/such/directory"), ("http://",), ("http://[::1",),
                              ("page.html",), ("ftp://127.0.0.1/",), ("mailto:x",),
                              (server.url(), "http://h:99999/"),
                              ("--ca-file", "/no/such/file", server.url()),
                              ("--ca-file", no_certificate.name, server.url())):
                done = self.run_program(*arguments)
                self.assertEqual(done.returncode, 2, arguments)
                self.assertEqual(done.stdout, b"", arguments)
                self.assertRegex(done.stderr.decode(), "^linkcheck: ", arguments)
        self.assertEqual(server.requests, [])

    def test_help_is_no_error(self):
        done = self.run_program("--help")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(b"--serve", done.stdout)

    def test_the_exit_status_tells_whether_a_link_is_broken(self):
        server = self.serve({"/": page(""), "/broken": links("/gone")})
        self.assertEqual(self.run_program(server.url()).returncode, 0)
        self.assertEqual(self.run_program(server.url("/broken")).returncode, 1)

    def test_a_report_that_cannot_be_written_is_an_error(self):
        server = self.serve({"/": page("")})
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PROGRAM, server.url()], stdout=full, stderr=subprocess.PIPE,
                                  timeout=HUNG, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"cannot write", done.stderr)


class Output(Case):
    def site(self):
        return self.serve({"/": links("/a", "/gone", "http://"), "/a": links("/gone", "/")})

    def test_the_text_names_the_broken_links_and_counts_all(self):
        server = self.site()
        done = self.run_program(server.url())
        start = server.url()
        self.assertEqual(done.stdout.decode(),
                         "Broken:\n"
                         "  http://: malformed URL: no host\n"
                         f"    on {start} line 3\n"
                         f"  {start}gone: 404 Not Found\n"
                         f"    on {start} line 2\n"
                         f"    on {start}a line 1\n"
                         "\n"
                         "4 links on 2 pages: 2 fine, 2 broken (1 http_status, 1 malformed), "
                         "0 skipped, 0 not checked\n")

    def test_the_report_is_the_same_each_time(self):
        routes = {f"/{i}": links(*(f"/{i * 7 + k}" for k in range(20))) for i in range(60)}
        server = self.serve({"/": links("/1", "/2", "/3"), **routes})
        for form in ("text", "json"):
            reports = {self.run_program("--format", form, "-v", "--jobs", jobs, server.url()).stdout
                       for jobs in (1, 4, 64, 64)}
            self.assertEqual(len(reports), 1)

    def test_there_is_no_bar_in_a_pipe(self):
        self.assertEqual(self.run_program(self.site().url()).stderr, b"")

    def run_on_terminal(self, *arguments):
        """What is written to a terminal that is standard error."""
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm"}
        process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=theirs,
                                   env=environment)
        os.close(theirs)
        shown = b""
        while True:
            if not select.select([ours], [], [], HUNG)[0]:
                process.kill()
            try:
                some = os.read(ours, 4096)
            except OSError:  # the terminal was hung up
                break
            if not some:
                break
            shown += some
        os.close(ours)
        report = process.communicate(timeout=HUNG)[0]
        return shown, report

    def test_there_is_a_bar_on_a_terminal(self):
        shown, report = self.run_on_terminal(self.site().url())
        self.assertRegex(shown, rb"\[[#.]+\] \d+ of \d+ URLs checked, \d+ failed")
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown)
        self.assertTrue(report.startswith(b"Broken:\n"))

    def test_the_bar_can_be_turned_off(self):
        shown, _ = self.run_on_terminal("--no-progress", self.site().url())
        self.assertEqual(shown, b"")

    def test_a_server_cannot_speak_to_the_terminal(self):
        attack = "\x1b]0;owned\x07\x1b[2J\u202e"
        server = self.serve({
            "/": page(f"<a href='/x{attack}'></a><a href='http://{attack}/'></a>"
                      f"<a href='#{attack}'></a><a href='{attack}:x'></a>"
                      "<a href='/reason'></a>", content_type="text/html; charset=utf-8"),
            "/reason": f"HTTP/1.1 404 {attack}\r\n\r\n".encode()})
        for form in ("text", "json"):
            shown, report = self.run_on_terminal("--format", form, "-v", server.url())
            self.assertNotIn(b"\x1b]", shown + report)
            self.assertNotIn(b"\x07", shown + report)
            self.assertNotIn("\u202e".encode(), shown + report)
            self.assertNotIn(b"\x1b", report)
            if form == "json":
                json.loads(report)


class Serving(Case):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)

    def write(self, name, text):
        file = self.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def test_a_directory_is_checked(self):
        self.write("index.html", "<a href=sub>x</a><link rel=stylesheet href=style.css>")
        self.write("sub/index.html", "<a href=../a%20b.html#x><img src=../no.png>")
        self.write("a b.html", "<p id=x><a href=#y>")
        self.write("style.css", "p { background: url(no.gif) }")
        status, report = self.check("--serve", self.directory)
        self.assertEqual(status, 1)
        broken = {each["url"].split("/", 3)[3]: each["kind"] for each in report["broken"]}
        self.assertEqual(broken, {"no.png": "http_status", "no.gif": "http_status",
                                  "a%20b.html#y": "fragment"})

    def test_a_directory_without_an_index_is_listed(self):
        for i in range(50):
            self.write(f"{i}.html", f"<a href={i + 1}.html>")
        status, report = self.check("--serve", self.directory)
        self.assertEqual(status, 1)
        self.assertEqual(len(report["fine"]), 51)
        self.assertEqual(len(report["broken"]), 1)

    def test_the_pages_to_start_from_are_named_by_their_paths(self):
        self.write("index.html", "<a href=no.html>")
        self.write("sub/a.html", "fine")
        status, report = self.check("--serve", self.directory, "sub/a.html", "/sub/")
        self.assertEqual((status, report["summary"]["fine"]), (0, 2))

    def test_the_time_that_the_server_is_up_ends_with_the_check(self):
        self.write("index.html", "fine")
        status, report = self.check("--serve", self.directory)
        self.assertEqual(status, 0)
        again, _ = self.check(report["fine"][0]["url"])
        self.assertEqual(again, 1)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
