"""Runs the basic client of matrix-nio's documentation, as Debian ships it.

Only what the example asks its reader to fill in is filled in: homeserver, user, password and room.
"""

import html
import os
import re
import sys
from pathlib import Path

PAGE = Path("/usr/share/doc/python3-matrix-nio-doc/html/examples.html")
BLANKS = {
    "https://matrix.example.org": "QPQ_URL",
    "@alice:example.org": "MATRIX_USER",
    "my-secret-password": "MATRIX_TOKEN",
    "!my-fave-room:example.org": "MATRIX_ROOM",
}


def program():
    blocks = re.findall(r"<pre>(.*?)</pre>", PAGE.read_text(), re.DOTALL)
    for block in blocks:
        numbers = r'<span class="linenos">.*?</span>'
        text = html.unescape(re.sub(r"<[^>]+>", "", re.sub(numbers, "", block)))
        if "sync_forever" in text and all(text.count(f'"{blank}"') == 1 for blank in BLANKS):
            return text
    raise SystemExit(f"{PAGE} has no basic client")


text = program()
for blank, variable in BLANKS.items():
    text = text.replace(f'"{blank}"', repr(os.environ[variable]))
sys.stdout.reconfigure(line_buffering=True)
exec(compile(text, "basic_client.py", "exec"), {"__name__": "__main__"})
