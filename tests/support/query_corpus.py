"""Records and queries whose answers the embedded store and the real Loki must agree on."""

from __future__ import annotations

from typing import Any

from push_frames import NOW, entry

START = NOW // 60_000_000_000 * 60_000_000_000
"""A whole minute."""
S = 1_000_000_000

SHOP = {"service_name": "shop", "env": "prod"}
CART = {"service_name": "cart"}

STREAMS: list[tuple[dict[str, str], list[list[Any]]]] = [
    (
        SHOP,
        [
            entry(
                START + 1 * S,
                '{"a":1,"b":{"c":"x","d":[1,2],"e":null},"env":"inner","f":true,"g":1.50,"k-1":"v","0x":"y",'
                '"trace":"parsed","b_c":"second"}',
                detected_level="info",
                trace="meta",
                env="metaenv",
            ),
            entry(START + 2 * S, 'hello "world" 42', detected_level="info"),
            entry(START + 3 * S, "[1,2]", detected_level="error"),
            entry(
                START + 4 * S,
                '{"a":"5s","big":12345678901234567890,"exp":1e3,"u":"\\u0041\\n","user":"al\\u0069ce"} trailing',
                detected_level="info",
            ),
            entry(START + 5 * S, '"only a string"', detected_level="info"),
            entry(START + 6 * S, "two\nlines and a \\ backslash", detected_level="info"),
            entry(
                START + 65 * S, '{"a":20,"took":"1m30s","user":"alice"}', detected_level="warn", trace="t-7"
            ),
            entry(
                START + 66 * S, '{"a":-3.5,"took":"200ms","user":"bob"}', detected_level="warn", trace="t-8"
            ),
        ],
    ),
    (
        CART,
        [
            entry(START + 7 * S, "", detected_level="warn", code="7"),
            entry(START + 8 * S, '{"a":2,"a":9,"x":{"y":1},"x_y":2}', detected_level="warn", code="oops"),
            entry(START + 9 * S, "Größe 日本 \U0001f600", detected_level="info", code="12"),
            entry(START + 90 * S, "order 1234 done", detected_level="info"),
            entry(START + 120 * S, "order 1235 done", detected_level="info"),
            entry(START + 121 * S, "order 12x5 failed", detected_level="error", code="0.5"),
        ],
    ),
    (
        {"service_name": "odd"},
        [
            entry(START + 10 * S, '{"__error__":"mine","a":1}', detected_level="info"),
            entry(
                START + 11 * S,
                '{"two words":"x"," lead":"y","trail ":"z","\\ttab":"t"}',
                detected_level="info",
            ),
            entry(
                START + 12 * S,
                '{"a b":{"c d":"x","e":1},"f-g h":"y"," ":"blank","":"empty"}',
                detected_level="info",
            ),
            entry(
                START + 13 * S, '{"__error__":{"b":"nested"},"__error_details__":"d"}', detected_level="info"
            ),
            entry(START + 14 * S, '{"":{"x":1},"E":{"":{"y":2},"0z":"3"},"E ":4}', detected_level="info"),
            entry(START + 15 * S, "no json", detected_level="info"),
        ],
    ),
]

LOG_QUERIES = [
    '{service_name="shop"}',
    '{service_name=~"shop|cart"}',
    '{service_name=~"s.*"}',
    '{service_name=~"ho"}',
    '{service_name!="shop", service_name!=""}',
    '{service_name!~"sh.p", service_name=~".+"}',
    '{env="", service_name=~".+"}',
    '{env="prod", service_name="cart"}',
    '{service_name="cart"} |= "order"',
    '{service_name="cart"} |= "order" != "1234"',
    '{service_name="cart"} |= ""',
    '{service_name="cart"} |= "1234" or "12x5"',
    '{service_name="cart"} != "1234" or "1235"',
    '{service_name="cart"} |~ "order 123[45]"',
    '{service_name="cart"} |~ "(?i)ORDER .2x"',
    '{service_name="cart"} !~ "order \\\\d+ "',
    '{service_name="cart"} |~ "^$"',
    '{service_name="cart"} |= "日本"',
    '{service_name="cart"} |~ "Gr..e"',
    '{service_name="shop"} |= "\\"world\\""',
    '{service_name="shop"} |= `\\ back`',
    '{service_name="shop"} |= "two\\nlines"',
    '{service_name="shop"} |~ "two.lines"',
    '{service_name="shop"} |~ "(?s)two.lines"',
    '{service_name="shop"} | detected_level="warn"',
    '{service_name="shop"} | detected_level!="warn"',
    '{service_name="shop"} | detected_level=~"w.*|error"',
    '{service_name="shop"} | detected_level=~"ar"',
    '{service_name="shop"} | detected_level!~"w.*"',
    '{service_name="shop"} | service_name="shop" | trace="t-7"',
    '{service_name="shop"} | trace=""',
    '{service_name="shop"} | nope=""',
    '{service_name="shop"} | nope!="x"',
    '{service_name="shop"} | env_extracted="metaenv"',
    '{service_name="cart"} | code="7"',
    '{service_name="cart"} | code > 5 | __error__=""',
    '{service_name="cart"} | code >= 7 and code <= 12 | __error__=""',
    '{service_name="cart"} | code < 1 or detected_level="warn" | __error__=""',
    '{service_name="cart"} | code == 7 | __error__=""',
    '{service_name="cart"} | code = 7 | __error__=""',
    '{service_name="cart"} | code != 7 | __error__=""',
    '{service_name="shop"} | json | __error__=""',
    '{service_name="shop"} | json | __error__="" | a="20"',
    '{service_name="shop"} | json | a > 1 | __error__=""',
    '{service_name="shop"} | json | a < 0 | __error__=""',
    '{service_name="shop"} | json | user="alice"',
    '{service_name="shop"} | json | user=~"al.*|bob" | detected_level="warn"',
    '{service_name="shop"} | json | took > 1s | __error__=""',
    '{service_name="shop"} | json | took <= 1m30s | __error__=""',
    '{service_name="shop"} | json | took > 100ms and took < 1s, user="bob" | __error__=""',
    '{service_name="shop"} | json | (user="bob" or user="alice") and trace="t-7"',
    '{service_name="shop"} | json | user="bob" or user="alice" and trace="none"',
    '{service_name="shop"} | json | b_c="x"',
    '{service_name="shop"} | json | trace_extracted="parsed"',
    '{service_name="shop"} | json | f="true" | g="1.50" | k_1="v" | _0x="y"',
    '{service_name="shop"} | json | big="12345678901234567890" | exp="1e3"',
    '{service_name="shop"} | json | big > 1 | exp == 1000 | __error__=""',
    '{service_name="cart"} | json | __error__="" | x_y="1"',
    '{service_name="cart"} | json | a="2"',
    '{service_name="shop"} |= "alice" | json',
    '{service_name="shop"} | json |= "alice" | user="alice"',
    '{service_name="nothing"}',
    '{service_name="odd"} | json',
    '{service_name="odd"} | json | __error__=""',
    '{service_name="odd"} | json | __error__="mine"',
    '{service_name="odd"} | json | two_words="x"',
    '{service_name="odd"} | json | a_b_c_d="x"',
    '{service_name="odd"} | json | a > 0',
    '{service_name="odd"} | json | a > 5',
    '{service_name="odd"} | json | __error__!=""',
]

METRIC_QUERIES = [
    'count_over_time({service_name="cart"} | code="" [1m])',
    'count_over_time({service_name="shop"}[5m])',
    'count_over_time({service_name=~"shop|cart"} |= "order" [1m])',
    'rate({service_name="cart"} |= "order" [1m])',
    'sum(count_over_time({service_name=~".+"}[1m]))',
    'sum(rate({service_name=~".+"}[7s]))',
    'sum by (detected_level) (count_over_time({service_name=~".+"}[1m]))',
    'sum by (service_name, detected_level) (count_over_time({service_name=~".+"}[90s]))',
    'sum(count_over_time({service_name=~".+"}[1m])) by (env)',
    'sum by (env, trace) (count_over_time({service_name=~".+"}[5m]))',
    'sum by (env_extracted) (count_over_time({service_name=~".+"}[5m]))',
    'sum by () (count_over_time({service_name=~".+"}[1m]))',
    'sum by (user) (count_over_time({service_name="shop"} | json | __error__="" [5m]))',
    'sum by (user) (rate({service_name="shop"} | json | user=~".+" [5m]))',
    'sum by (detected_level) (count_over_time({service_name="cart"} | code > 5 | __error__="" [5m]))',
    'sum by (code) (count_over_time({service_name="cart"}[30s]))',
    'sum by (a) (count_over_time({service_name="odd"} |= "mine" | json [5m]))',
    'sum(count_over_time({service_name="odd"} |= "mine" | json | __error__="" [5m]))',
    "vector(1)+vector(1)",
]

REFUSED_BY_BOTH = [
    "",
    "{}",
    '{a=~".*"}',
    '{a="b"',
    "{a=b}",
    '{a="b"} |= ',
    '{a="b"} | ',
    '{a=~"("}',
    '{a="b"} |~ "["',
    'sum({a="b"})',
    'count_over_time({a="b"})',
    'rate({a="b"}[5])',
    '{a="b"} foo',
    'foo({a="b"}[5m])',
    'sum by (a (rate({a="b"}[5m]))',
    'count_over_time({service_name="cart"} | json [5m])',
    'count_over_time({service_name="cart"} | code > 5 [5m])',
    'count_over_time({service_name="odd"} |= "mine" | json [5m])',
    'sum by (__error__) (count_over_time({service_name="odd"} |= "mine" | json [5m]))',
]
