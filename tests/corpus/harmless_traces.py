"""Stack traces of Python, Java, Go and Node, as one record."""

from __future__ import annotations

import json

from tests.corpus.draw import Draw
from tests.corpus.harmless_values import iso, version


def _word(draw: Draw) -> str:
    return draw.words(1)


def python(draw: Draw) -> str:
    """A traceback of Python."""
    frames = "".join(
        f'  File "/srv/app/{_word(draw)}/{_word(draw)}.py", line {draw.randrange(999)}, in {draw.choice(["get_token", "check_password", "handle", "__call__", "login"])}\n    '
        f"{draw.choice(['return self._client.request(method, url, **kwargs)', 'token = self.tokens[name]', 'if not verify(password, user.password_hash):', 'raise KeyError(key)', 'secret = os.environ[name]'])}\n"
        for _ in range(draw.randint(2, 6))
    )
    return f"Traceback (most recent call last):\n{frames}{draw.choice(['KeyError', 'ValueError', 'httpx.ConnectTimeout', 'PermissionError'])}: {draw.words(3)}"


def java(draw: Draw) -> str:
    """A stack trace of Java."""
    frames = "".join(
        f"\n\tat io.{_word(draw)}.{_word(draw)}.{draw.choice(['TokenFilter', 'PasswordEncoder', 'OrderService', 'Lambda$0x000000080' + draw.chars('x', 7)])}.{draw.choice(['doFilter', 'matches', 'lambda$run$0', 'invoke0'])}({draw.choice(['TokenFilter.java', 'Native Method', 'Unknown Source'])}:{draw.randrange(900)}) ~[app-{version(draw)}.jar!/:?]"
        for _ in range(draw.randint(3, 9))
    )
    return f"{iso(draw)} ERROR [http-nio-8080-exec-{draw.randrange(99)}] o.a.c.c.C.[.[/] - Servlet.service() threw exception\njava.lang.IllegalStateException: {draw.words(3)}{frames}\nCaused by: java.net.SocketTimeoutException: Read timed out\n\t... {draw.randrange(99)} more"


def go(draw: Draw) -> str:
    """A panic of Go."""
    frames = "".join(
        f"\nmain.(*{_word(draw).title()}).{draw.choice(['Token', 'Serve', 'run'])}(0xc{draw.chars('x', 9)}, {{0x{draw.chars('x', 6)}, 0xc{draw.chars('x', 9)}}})\n\t/src/{_word(draw)}/{_word(draw)}.go:{draw.randrange(900)} +0x{draw.chars('x', 3)}"
        for _ in range(draw.randint(2, 5))
    )
    return f"panic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x{draw.chars('x', 6)}]\n\ngoroutine {draw.randrange(9999)} [running]:{frames}"


def node(draw: Draw) -> str:
    """An error of Node.js."""
    frames = "".join(
        f"\n    at {draw.choice(['async TokenService.verify', 'Object.<anonymous>', 'process.processTicksAndRejections', 'Layer.handle [as handle_request]'])} (/app/node_modules/{_word(draw)}/lib/{_word(draw)}.js:{draw.randrange(900)}:{draw.randrange(90)})"
        for _ in range(draw.randint(2, 7))
    )
    return f"TypeError: Cannot read properties of undefined (reading '{draw.choice(['token', 'password', 'id'])}'){frames}"


def any_trace(draw: Draw) -> str:
    """One of them, as text or inside JSON."""
    text = draw.choice([python, java, go, node])(draw)
    if draw.random() < 0.6:
        return json.dumps({"time": iso(draw), "level": "error", "msg": "unhandled", "stack": text})
    return text
