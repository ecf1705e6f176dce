# Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
"""A web server on loopback that misbehaves in whatever way it is told to.

A route is the bytes to send for a path, or a function that does with the connection what it likes.
"""

import socket
import ssl
import struct
import threading


def page(body, status="200 OK", content_type="text/html", headers=""):
    """A well-formed answer."""
    body = body if isinstance(body, bytes) else body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def links(*targets):
    """A page of links."""
    return page("".join(f'<a href="{target}">x</a>\n' for target in targets))


def redirect(target, status="302 Found"):
    return page("", status, headers=f"Location: {target}\r\n")


def hang(connection, _):
    """Says nothing until the other side has gone."""
    while connection.recv(4096):
        pass


def then_hang(start):
    """Sends the start of an answer and nothing more."""

    def route(connection, request):
        connection.sendall(start)
        hang(connection, request)

    return route


def then_reset(start=b""):
    """Sends the start of an answer, if any, and breaks the connection."""

    def route(connection, _):
        connection.sendall(start)
        # To close with data unread or with a linger time of zero sends a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return route


def for_ever(start, more, pause=0.0):
    """Sends the start of an answer, and then more and more of it."""

    def route(connection, _):
        waiting = threading.Event()
        connection.sendall(start)
        while True:
            connection.sendall(more)
            waiting.wait(pause)

    return route


def in_turn(*routes):
    """Another answer each time; the last one stays."""
    left = list(routes)

    def route(connection, request):
        now = left.pop(0) if len(left) > 1 else left[0]
        if callable(now):
            now(connection, request)
        else:
            connection.sendall(now)

    return route


class Server:
    """Listens until it is closed; one thread for each connection."""

    def __init__(self, routes=None, tls=None):
        self.routes = dict(routes or {})
        self.tls = tls
        self.requests = []  # ("GET", "/path"), in the order in which they came
        self.arrived = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path="/"):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{path}"

    def close(self):
        # A blocked accept() would not notice a mere close().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def count(self, path, method=None):
        with self.arrived:
            return sum(1 for each in self.requests
                       if each[1] == path and method in (None, each[0]))

    def wait_for(self, count, seconds=30):
        """Waits until that many requests have come."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.requests) >= count, seconds)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                self._answer(connection)
        except (OSError, ssl.SSLError):
            pass  # the other side has gone: it may

    def _answer(self, connection):
        request = b""
        while b"\r\n\r\n" not in request:
            some = connection.recv(65536)
            if not some:
                return
            request += some
        method, path = request.decode("latin1").split(" ")[:2]
        with self.arrived:
            self.requests.append((method, path))
            self.arrived.notify_all()
        route = self.routes.get(path, page("not here", "404 Not Found"))
        if callable(route):
            route(connection, request)
        elif method == "HEAD":
            connection.sendall(route[:route.index(b"\r\n\r\n") + 4])
        else:
            connection.sendall(route)
            connection.shutdown(socket.SHUT_WR)


def refusing_port():
    """A port on which nothing listens, nor will while the socket is kept."""
    keeper = socket.socket()
    keeper.bind(("127.0.0.1", 0))
    return keeper, keeper.getsockname()[1]
