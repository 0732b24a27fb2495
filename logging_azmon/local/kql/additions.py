"""Functions that the engine lacks, as SQL; `{0}` is the first argument.

Dynamic values are JSON. An argument that SQL needs twice is the element of a list, so that it is computed once.
"""

from __future__ import annotations

_ITEMS = "TRY_CAST(to_json({0}) AS JSON[])"
_OTHERS = "TRY_CAST(to_json({1}) AS JSON[])"
_UNIQUE = "list_filter({list}, lambda _x, _i: list_position({list}, _x) = _i)"


def _with(value: str, body: str) -> str:
    """Return SQL that computes a value once, under the name `_v`."""
    return f"list_transform([{value}], lambda _v: {body})[1]"


def _unique(items: str) -> str:
    """Return the different elements of a list, in their order."""
    return _with(items, _UNIQUE.format(list="_v"))


def _at(place: str, body: str) -> str:
    """Return SQL over an array `_v` that is divided at a place."""
    return f"to_json({_with(_ITEMS, body.replace('{at}', place))})"


def _map(pairs: str) -> str:
    return f"to_json(map_from_entries({pairs}))"


_KEYS = "json_keys(to_json({0}))"
_BY_KEY = "json_extract(to_json({0}), '$.\"' || _k || '\"')"
_KEY_NAMES = (
    "list_transform(TRY_CAST(to_json({1}) AS VARCHAR[]), lambda _n: CASE WHEN starts_with(_n, '$')"
    " THEN error('bag_remove_keys takes no paths in the local workspace') ELSE _n END)"
)
_ADDRESS = r"'(\d{{1,3}}\.){{3}}\d{{1,3}}(/\d{{1,2}})?'"


def _ip(argument: str) -> str:
    """Return an IPv4 address and its prefix as a struct of numbers; null if it is none."""
    octets = "list_transform(string_split(split_part(_a, '/', 1), '.'), lambda _o: CAST(_o AS BIGINT))"
    number = f"list_reduce({octets}, lambda _x, _y: _x * 256 + _y)"
    prefix = "coalesce(TRY_CAST(nullif(split_part(_a, '/', 2), '') AS INTEGER), 32)"
    known = f"regexp_full_match(_a, {_ADDRESS}) AND list_max({octets}) < 256 AND {prefix} <= 32"
    struct = f"CASE WHEN {known} THEN {{{{'n': {number}, 'p': {prefix}}}}} END"
    return f"list_transform([CAST({argument} AS VARCHAR)], lambda _a: {struct})[1]"


def _net(address: str, prefix: str) -> str:
    return f"({address}['n'] >> (32 - {prefix}))"


def _two_ips(body: str, prefix: str) -> str:
    """Return SQL over two addresses `_v['l']` and `_v['r']` and the prefix that both have."""
    pair = f"{{{{'l': {_ip('{0}')}, 'r': {_ip('{1}')}}}}}"
    common = f"least(_v['l']['p'], _v['r']['p'], {prefix})"
    left, right = (_net(f"_v['{side}']", common) for side in "lr")
    known = "_v['l'] IS NULL OR _v['r'] IS NULL"
    return _with(pair, f"CASE WHEN {known} THEN NULL ELSE {body.format(left=left, right=right)} END")


_SAME = "{left} = {right}"
_INSIDE = "_v['l']['p'] >= _v['r']['p'] AND {left} = {right}"
_ORDER = "CAST(sign({left} - {right}) AS BIGINT)"
_OCTET = r"(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_FOUND = (
    "list_filter(regexp_extract_all(CAST({0} AS VARCHAR), '[0-9A-Za-z.]+'),"
    rf" lambda _w: regexp_full_match(_w, '({_OCTET}\.){{{{3}}}}{_OCTET}'))"
)
_WANTED = "coalesce(TRY_CAST(to_json({1}) AS VARCHAR[]), [CAST({1} AS VARCHAR)])"
_PRIVATE = " OR ".join(
    f"(_v['p'] >= {prefix} AND _v['n'] >> {32 - prefix} = {number >> (32 - prefix)})"
    for number, prefix in ((10 << 24, 8), ((172 << 24) + (16 << 16), 12), ((192 << 24) + (168 << 16), 16))
)
_ENCODED = (
    "array_to_string(list_transform(regexp_extract_all(url_encode({0}), '%..|[^%]+'),"
    " lambda _c: CASE WHEN starts_with(_c, '%') THEN lower(_c) ELSE _c END), '')"
)
_CELL = '\'("(?:[^"]|"")*"|[^,]*),\''
_PARSED = _with("{0}", "coalesce(TRY_CAST(_v AS JSON), to_json(nullif(CAST(_v AS VARCHAR), '')))")
_IN_ANY = _two_ips(_INSIDE, "32").replace("{1}", "_r")

SCALARS: dict[str, tuple[str, tuple[int, ...]]] = {
    # bags
    "bag_keys": (f"CASE json_type(to_json({{0}})) WHEN 'OBJECT' THEN to_json({_KEYS}) END", (1,)),
    "bag_has_key": (
        (
            "coalesce(CASE WHEN starts_with({1}, '$') THEN json_exists(to_json({0}), {1})"
            f" ELSE list_contains({_KEYS}, {{1}}) END, false)"
        ),
        (2,),
    ),
    "bag_remove_keys": (
        _map(
            f"list_transform(list_filter({_KEYS}, lambda _k: NOT list_contains({_KEY_NAMES}, _k)),"
            f" lambda _k: {{{{'k': _k, 'v': {_BY_KEY}}}}})"
        ),
        (2,),
    ),
    "bag_zip": (
        _map(
            f"list_transform(list_filter(list_zip({_ITEMS}, coalesce({_OTHERS}, [])), lambda _z:"
            " json_type(_z[1]) = 'VARCHAR'), lambda _z: {{'k': _z[1] ->> '$', 'v': _z[2]}})"
        ),
        (2,),
    ),
    # arrays and sets
    "set_union": (f"to_json({_unique(f'list_concat({_ITEMS}, {_OTHERS})')})", (2,)),
    "set_intersect": (f"to_json(list_filter({_unique(_ITEMS)}, lambda _x: list_contains({_OTHERS}, _x)))", (2,)),
    "set_difference": (f"to_json(list_filter({_unique(_ITEMS)}, lambda _x: NOT list_contains({_OTHERS}, _x)))", (2,)),
    "array_rotate_left": (_at("(({1}) % len(_v) + len(_v)) % len(_v)", "list_concat(_v[{at} + 1:], _v[:{at}])"), (2,)),
    "array_rotate_right": (
        _at("((-({1})) % len(_v) + len(_v)) % len(_v)", "list_concat(_v[{at} + 1:], _v[:{at}])"),
        (2,),
    ),
    "array_split": (_at("CASE WHEN {1} < 0 THEN len(_v) + {1} ELSE {1} END", "[_v[:{at}], _v[{at} + 1:]]"), (2,)),
    "unicode_codepoints_from_string": ("to_json(list_transform(string_split({0}, ''), lambda _c: unicode(_c)))", (1,)),
    "unicode_codepoints_to_string": (
        "array_to_string(list_transform(TRY_CAST(to_json({0}) AS INTEGER[]), lambda _c: chr(_c)), '')",
        (1,),
    ),
    # addresses
    "ipv4_is_private": (_with(_ip("{0}"), f"CASE WHEN _v IS NOT NULL THEN {_PRIVATE} END"), (1,)),
    "ipv4_is_match": (_two_ips(_SAME, "32"), (2,)),
    "ipv4_is_match3": (_two_ips(_SAME, "{2}"), (3,)),
    "ipv4_compare": (_two_ips(_ORDER, "32"), (2,)),
    "ipv4_compare3": (_two_ips(_ORDER, "{2}"), (3,)),
    "ipv4_is_in_range": (_two_ips(_INSIDE, "32"), (2,)),
    "ipv4_is_in_any_range": (
        f"list_contains(list_transform({_WANTED}, lambda _r: {_IN_ANY}), true)",
        (2,),
    ),
    "ipv4_netmask_suffix": (_ip("{0}") + "['p']", (1,)),
    "has_ipv4": (f"list_has_any({_FOUND}, {_WANTED})", (2,)),
    "has_ipv4_prefix": (
        (
            f"list_contains(list_transform({_FOUND}, lambda _w: list_contains(list_transform({_WANTED}, lambda _p:"
            " CASE WHEN ends_with(_p, '.') THEN starts_with(_w, _p) ELSE _w = _p END), true)), true)"
        ),
        (2,),
    ),
    # texts
    "notempty": ("({0} IS NOT NULL AND CAST({0} AS VARCHAR) <> '')", (1,)),
    "string_size": ("strlen({0})", (1,)),
    "parse_csv": (
        (
            f"to_json(list_transform(regexp_extract_all(split_part({{0}}, chr(10), 1) || ',', {_CELL}, 1), lambda _c:"
            " CASE WHEN starts_with(_c, '\"') THEN replace(substr(_c, 2, length(_c) - 2), '\"\"', '\"') ELSE _c END))"
        ),
        (1,),
    ),
    "url_encode": (f"replace({_ENCODED}, '%20', '+')", (1,)),
    "url_encode_component": (_ENCODED, (1,)),
    "url_decode": ("url_decode({0})", (1,)),
    "extractjson": ("json_extract_string({1}, {0})", (2,)),
    "extract_json": ("json_extract_string({1}, {0})", (2,)),
    "countof": ("CAST(len(regexp_extract_all({0}, regexp_escape({1}))) AS BIGINT)", (2,)),
    # numbers and times
    "rand": ("random()", (0,)),
    "new_guid": ("uuid()", (0,)),
    "bin_at_time": ("time_bucket({1}, {0}, {2})", (3,)),
    "range_": ("to_json(generate_series({0}, {1}, {2}))", (3,)),
    "span_divided": ("to_microseconds(CAST(epoch_us({0}) / {1} AS BIGINT))", (2,)),
    "unixtime_seconds_todatetime": ("make_timestamp(CAST({0} * 1000000 AS BIGINT))", (1,)),
    "unixtime_milliseconds_todatetime": ("make_timestamp(CAST({0} * 1000 AS BIGINT))", (1,)),
    "unixtime_microseconds_todatetime": ("make_timestamp(CAST({0} AS BIGINT))", (1,)),
    "unixtime_nanoseconds_todatetime": ("make_timestamp(CAST(({0}) // 1000 AS BIGINT))", (1,)),
}
"""Name to SQL and numbers of arguments."""

CORRECTED: dict[str, tuple[str, tuple[int, ...]]] = {
    # A text that is no JSON is a dynamic string.
    "parse_json": (_PARSED, (1,)),
    "todynamic": (_PARSED, (1,)),
    # Bytes that are no UTF-8 are an empty string.
    "base64_decode_tostring": ("coalesce(TRY(decode(from_base64({0}))), '')", (1,)),
}
"""The same, in place of the engine's own."""

AGGREGATES: dict[str, tuple[str, tuple[int, ...], str]] = {
    "make_set_if": (
        "to_json(coalesce(list_distinct(list(to_json({0})) FILTER (WHERE {0} IS NOT NULL AND {1})), []))",
        (2, 3),
        "set",
    ),
    "make_list_if": ("to_json(coalesce(list({0}) FILTER (WHERE {0} IS NOT NULL AND {1}), []))", (2, 3), "list"),
    "make_list_with_nulls": ("to_json(coalesce(list({0}), []))", (1,), "list"),
    "avg_of_spans": ("to_microseconds(CAST(avg(epoch_us({0})) AS BIGINT))", (1,), "avg"),
    "sum_of_spans": ("to_microseconds(coalesce(CAST(sum(epoch_us({0})) AS BIGINT), 0))", (1,), "sum"),
    "maxif": ("max({0}) FILTER (WHERE {1})", (2,), "maxif"),
    "minif": ("min({0}) FILTER (WHERE {1})", (2,), "minif"),
    "take_anyif": ("any_value({0}) FILTER (WHERE {1})", (2,), ""),
    "count_distinct": ("count(DISTINCT {0})", (1,), "count_distinct"),
    "count_distinctif": ("count(DISTINCT {0}) FILTER (WHERE {1})", (2,), "count_distinctif"),
    "stdevp": ("coalesce(stddev_pop({0}), 0.0)", (1,), "stdevp"),
    "variancep": ("coalesce(var_pop({0}), 0.0)", (1,), "variancep"),
}
"""Name to SQL, numbers of arguments, and the beginning of the column's name."""
