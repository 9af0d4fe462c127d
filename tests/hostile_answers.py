"""Hypothesis strategies for the HTTP answers of hostile or broken servers."""

from __future__ import annotations

from hypothesis import strategies as st

NUMBERS = st.sampled_from(
    ["0", "7", "-1", "1e9", "٣", "9" * 9, "9" * 10, "9" * 5_000, "0x10", " 5 ", "5;", "NaN", "inf", ""]
)
#: Dates in the format of RFC 9110, with valid and invalid parts.
DATES = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon", "", "Foo", "\x80"]),
    st.sampled_from(["06", "0", "32", "9" * 30, "x"]),
    st.sampled_from(["Nov", "nov", "Foo", "11", ""]),
    st.sampled_from(["1994", "0000", "0001", "9999", "10000", "94", "9" * 30, "-1"]),
    st.sampled_from(["08", "24", "9" * 30]),
    st.sampled_from(["49", "60"]),
    st.sampled_from(["37", "61", "37.5"]),
    st.sampled_from(["GMT", "+0000", "+99999999999999", "-2359", "+2400", "-" + "9" * 30, "EST", "", "+٠٠٠٠"]),
)
COOKIES = st.lists(
    st.sampled_from(
        ["a=1", "a", "=1", "", ";", "Path=/", "Path=", "Path=/other", "Domain=127.0.0.1", "Domain=.com", "Domain", "Max-Age=",
         "Max-Age=" + "9" * 30, "Max-Age=-1", "Expires=Mon, 06 Nov 9999 08:49:37 GMT", "Expires=" + "9" * 40, "Expires=0",
         "Secure", "HttpOnly", "Version=1", "Version=x", 'a="b', "a=\x00", "a=\x7f\xff", "SameSite=None", "\u00a0=\u00a0",
         "a=" + "x" * 5_000]
    ),
    max_size=6,
).map("; ".join)  # fmt: skip
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["Retry-After", "Date"]), NUMBERS | DATES),
        st.tuples(st.just("Set-Cookie"), COOKIES),
        st.tuples(st.just("Location"), st.sampled_from(["//evil.example", "http://[", "\x00", "/" * 100, "file:///etc/passwd"])),
        st.tuples(st.just("Content-Type"), st.sampled_from(["text/html", "application/json; charset=none", ";", "\xff"])),
        st.tuples(st.just("Content-Encoding"), st.sampled_from(["gzip", "deflate", "br", "gzip, gzip, gzip", "x", ""])),
        st.tuples(
            st.sampled_from(["Transfer-Encoding", "X Y", "", "\x00", "Content-Length"]),
            st.sampled_from(["chunked", "5", "-1", "x"]),
        ),
    ).map(": ".join),
    max_size=4,
)  # fmt: skip
STATUSES = st.sampled_from(
    [
        "200 OK",
        "200",
        "401 Unauthorized",
        "302 Found",
        "204 No Content",
        "429 Too Many",
        "503",
        "100 Continue",
        "999 X",
        "99",
        "٢٠٠",
        "",
    ]
)
SCRAPS = st.sampled_from(
    ['{"', '"}', "{", "}", "[", "]", ":", ",", '"', "message", "data", "access_token", "Success", "null", "1e999", "NaN",
     "-0", "9" * 5_000,
     "\\ud800", "\\u0000", "\x00", "é", "<html>", "\ufeff", "[" * 2_000]
)  # fmt: skip
BODIES = st.binary(max_size=60) | st.lists(SCRAPS, max_size=12).map(lambda parts: "".join(parts).encode())


@st.composite
def answers(draw: st.DrawFn, bodies: st.SearchStrategy[bytes] = BODIES) -> bytes:
    """Draw an answer that can be wrong in any of its parts."""
    body = draw(bodies)
    length = draw(st.sampled_from([len(body), len(body), len(body), len(body) - 1, len(body) + 1, 1 << 70]))
    lines = [f"HTTP/1.1 {draw(STATUSES)}", f"Content-Length: {length}", "Connection: close", *draw(HEADERS)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogatepass") + body
