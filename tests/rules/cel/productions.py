"""The grammar of the random expressions: per type its literals and templates, as data.

Bytes are UTF-8 here, as the reference ends the process over a map with any other text as a key.

In a template `<kind>` stands for an expression of that kind, `<+x>` for a variable that it opens,
and `<word>` for one of WORDS.
"""

KINDS = (  # an optional value is no result, and in one the reference ends the process
    *("bool", "int", "uint", "double", "string", "bytes", "list", "map", "time", "span"),
)

LEAVES: dict[str, tuple[str, ...]] = {
    "bool": ("true", "false"),
    "int": ("0", "1", "2", "3", "-1", "7", "0x10", "9223372036854775807", "-9223372036854775808"),
    "uint": ("0u", "1u", "2u", "7u", "18446744073709551615u"),
    "double": (
        *("0.0", "1.0", "1.5", "-2.5", "1e3", "1e300", ".5", "9223372036854775808.0", "3.0"),
        *("-0.0", "5e-324", "123456.789", "0.1"),
    ),
    "string": (
        *('"a"', '"b"', '""', '"abcab"', "'é😀x'", r'r"\d+"', '"Ab C "', '"1"', '"-7"', '"true"'),
        *('"1.5"', '"2h"', '"2024-02-29T12:30:45.5Z"', '"a,b,c"', '"\\u00a0x\\t"', '"0x1F"'),
        *('"😀😀"', '"aGVsbG8="', '"NaN"', '"\\"q\\"\\n"'),
    ),
    "bytes": ('b"a"', 'b"\\x7f"', "b'é'", 'b""', 'b"abc"'),
    "list": (
        *("[]", "[1, 2]", '["a", "b"]', "[1.0, 1u, 1]", "[true]", "[null]", "[[1], [2, [3]]]"),
        *('["b", "a", "b"]', "[3, 1, 2, 1]", "[{}, {'k': 1}]"),
    ),
    "map": ("{}", '{"k": 1}', "{1: 2}", '{"k": {"n": 1}}', "{2u: 1}", '{true: "a"}'),
    "time": (
        'timestamp("2024-02-29T12:30:45.5Z")',
        'timestamp("1969-12-31T23:59:59.001Z")',
        'timestamp("2023-12-31T23:30:00-02:00")',
        'timestamp("9999-12-31T23:59:59Z")',
        'timestamp("2024-03-31T01:30:00Z")',
        "timestamp(0)",
        "timestamp(1700000000)",
    ),
    "span": (
        'duration("1h")',
        'duration("-90m")',
        'duration("1.5s")',
        'duration("250ms")',
        'duration("-1h2m3s4ms")',
        'duration("0")',
    ),
    "optional": ("optional.none()", "optional.of(1)", "optional.of({'k': 1})", "a.?k", "b.?n"),
}

WORDS: dict[str, tuple[str, ...]] = {
    "pattern": (
        *('"^a"', '"b+"', '"[a-c]{2}"', '"."', '"^$"', '"(a|b)c?"', '"\\\\d"', '"(?i)AB"'),
        *('"\\\\p{L}"', '"x*"', '""', '"é"', '"a(b)?"'),
    ),
    "zone": (
        '"UTC"',
        '"Europe/Berlin"',
        '"-08:00"',
        '"05:30"',
        '"America/St_Johns"',
        '"Asia/Tokyo"',
    ),
    "part": (
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
    ),
    "test": ("contains", "startsWith", "endsWith"),
    "change": ("lowerAscii", "upperAscii", "trim", "reverse"),
    "quantifier": ("all", "exists", "exists_one"),
    "quantifiers": ("all", "exists", "existsOne"),
    "order": ("<", "<=", ">", ">="),
    "sameness": ("==", "!="),
    "logic": ("&&", "||"),
    "sign": ("+", "-", "*", "/", "%"),
    "dsign": ("+", "-", "*", "/"),
    "numeric": ("int", "uint", "double"),
    "rounding": ("ceil", "floor", "round", "trunc", "abs", "sign", "sqrt"),
    "finiteness": ("isNaN", "isInf", "isFinite"),
    "bits": ("bitAnd", "bitOr", "bitXor"),
    "shift": ("bitShiftLeft", "bitShiftRight"),
    "extreme": ("greatest", "least"),
    "set": ("contains", "equivalent", "intersects"),
    "clause": ('"%s"', '"<%s|%s>"', '"%d%%"', '"%.2f"', '"%e"', '"%x"', '"%X"', '"%o"', '"%b"'),
    "packed": ('"aGVsbG8="', '"aGVsbG8"', '"w6k="', '""', '"aGk"', '"a"', '"aGk?"'),
    "solid": ('"^a"', '"b+"', '"[a-c]{2}"', '"."', '"(a|b)c?"', '"é"'),
    "count": ("-1", "0", "1", "2"),
    "rewrite": ('"x"', '"[\\\\0]"', '""', '"\\\\\\\\"'),
}

PRODUCTIONS: dict[str, tuple[str, ...]] = {
    "bool": (
        *(
            "(<bool> <logic> <bool>)",
            "(<bool> <logic> <any>)",
            "(<bool> <logic> <bool> <logic> <bool>)",
        ),
        *("(<int> <order> <int>)", "(<double> <order> <int>)", "(<string> <order> <string>)"),
        *("(<time> <order> <time>)", "(<span> <order> <span>)", "(<uint> <order> <double>)"),
        *("(<bool> <order> <bool>)", "(<bytes> <order> <bytes>)", "(<any> <order> <any>)"),
        *("(<any> <sameness> <any>)", "(<int> <sameness> <double>)", "(<list> <sameness> <list>)"),
        *(
            "(<map> <sameness> <map>)",
            "(<string> <sameness> <string>)",
            "(<path> <sameness> <any>)",
        ),
        *("!(<bool>)", "(<any> in <list>)", "(<any> in <map>)", "(<string> in <path>)"),
        *("has(<path>.<key>)", "has(<map>.<key>)", "has(<path>.<key>.<key>)"),
        *("(<list>).<quantifier>(<+x>, <bool>)", "(<map>).<quantifier>(<+x>, <bool>)"),
        *(
            "(<any>).<quantifier>(<+x>, <bool>)",
            "(<list>).<quantifier>(<+x>, <any> <sameness> <any>)",
        ),
        *(
            "(<list>).<quantifiers>(<+x>, <+y>, <bool>)",
            "(<map>).<quantifiers>(<+x>, <+y>, <bool>)",
        ),
        *(
            "(<string>).<test>(<string>)",
            "(<string>).matches(<pattern>)",
            "matches(<string>, <pattern>)",
        ),
        *("(<bool> ? <bool> : <bool>)", "bool(<string>)", "(<optional>).hasValue()"),
        *(
            "math.<finiteness>(<double>)",
            "sets.<set>(<list>, <list>)",
            "(<optional> <sameness> <optional>)",
        ),
        *("cel.bind(<+x>, <any>, <bool>)", "(<optional>).optMap(<+x>, <bool>).orValue(<bool>)"),
        "(type(<any>) <sameness> type(<any>))",
    ),
    "int": (
        *(
            "(<int> <sign> <int>)",
            "(<int> <sign> <int>)",
            "-(<int>)",
            "size(<string>)",
            "size(<list>)",
        ),
        *(
            "size(<any>)",
            "(<map>).size()",
            "int(<double>)",
            "int(<string>)",
            "int(<uint>)",
            "int(<time>)",
        ),
        *("int(<any>)", "(<string>).indexOf(<string>)", "(<string>).indexOf(<string>, <int>)"),
        *("(<string>).lastIndexOf(<string>)", "(<string>).lastIndexOf(<string>, <int>)"),
        *(
            "(<time>).<part>()",
            "(<time>).<part>(<zone>)",
            "(<span>).<part>()",
            "(<bool> ? <int> : <int>)",
        ),
        *("math.<extreme>(<int>, <int>)", "math.<rounding>(<int>)", "math.<bits>(<int>, <int>)"),
        *("math.<shift>(<int>, <int>)", "math.bitNot(<int>)", "(<optional>).orValue(<int>)"),
        *(
            "(<list>)[<int>]",
            "(<map>).<key>",
            "(<list>).first().value()",
            "cel.bind(<+x>, <int>, <int>)",
        ),
    ),
    "uint": (
        *("(<uint> <sign> <uint>)", "(<uint> <sign> <uint>)", "uint(<int>)", "uint(<double>)"),
        *("uint(<string>)", "uint(<any>)", "math.<bits>(<uint>, <uint>)", "math.bitNot(<uint>)"),
        *(
            "math.<shift>(<uint>, <int>)",
            "math.<extreme>(<uint>, <uint>)",
            "math.<rounding>(<uint>)",
        ),
    ),
    "double": (
        *(
            "(<double> <dsign> <double>)",
            "(<double> <dsign> <double>)",
            "-(<double>)",
            "double(<int>)",
        ),
        *("double(<uint>)", "double(<string>)", "double(<any>)", "math.<rounding>(<double>)"),
        *(
            "math.<extreme>(<double>, <int>)",
            "math.<extreme>(<list>)",
            "(<bool> ? <double> : <double>)",
        ),
    ),
    "string": (
        *(
            "(<string> + <string>)",
            "string(<any>)",
            "string(<double>)",
            "string(<int>)",
            "string(<time>)",
        ),
        *("string(<span>)", "string(<bool>)", "string(<bytes>)", "(<string>).<change>()"),
        *(
            "(<string>).replace(<string>, <string>)",
            "(<string>).replace(<string>, <string>, <int>)",
        ),
        *(
            "(<string>).substring(<int>)",
            "(<string>).substring(<int>, <int>)",
            "(<string>).charAt(<int>)",
        ),
        *("(<list>).join()", "(<list>).join(<string>)", "(<bool> ? <string> : <string>)"),
        *(
            "(<clause>).format([<any>])",
            "(<clause>).format([<int>, <any>])",
            "(<clause>).format(<list>)",
        ),
        *("strings.quote(<string>)", "base64.encode(<bytes>)", "(<list>)[<int>]"),
        *("regex.replace(<string>, <pattern>, <rewrite>)", "(<optional>).orValue(<string>)"),
        *("regex.replace(<string>, <solid>, <rewrite>, <count>)",),
        *("regex.extract(<string>, <pattern>).orValue(<string>)", "(<map>)[<string>]"),
    ),
    "bytes": ("(<bytes> + <bytes>)", "bytes(<string>)", "base64.decode(<packed>)", "bytes(<any>)"),
    "list": (
        *(
            "[<any>, <any>]",
            "[<int>, <int>, <int>]",
            "[<string>, <string>]",
            "[<double>]",
            "[?<optional>, <any>]",
        ),
        *("(<list> + <list>)", "(<string>).split(<string>)", "(<string>).split(<string>, <int>)"),
        *("([] + (<list>)).filter(<+x>, <bool>)", "([] + (<list>)).map(<+x>, <any>)"),
        *("([] + (<list>)).map(<+x>, <bool>, <any>)", "(<bool> ? <list> : <list>)"),
        *(
            "(<list>).slice(<int>, <int>)",
            "(<list>).flatten()",
            "(<list>).flatten(<int>)",
            "(<list>).distinct()",
        ),
        *(
            "(<list>).reverse()",
            "(<list>).sort()",
            "([] + (<list>)).sortBy(<+x>, <any>)",
            "lists.range(<int> % 9)",
        ),
        *(
            "([] + (<list>)).transformList(<+x>, <+y>, <any>)",
            "regex.extractAll(<string>, <pattern>)",
        ),
        *(
            "([] + (<list>)).transformList(<+x>, <+y>, <bool>, <any>)",
            "cel.bind(<+x>, <list>, <list>)",
        ),
        "(<optional>).optMap(<+x>, <list>).orValue([])",
    ),
    "map": (
        *(
            "{}",
            "{<string>: <any>}",
            "{dyn(<string>): <any>, dyn(<any>): <any>}",
            "{<int>: <any>, <int>: <any>}",
        ),
        *(
            "{?<string>: <optional>}",
            "(<bool> ? <map> : <map>)",
            "{<uint>: <any>}",
            "cel.bind(<+x>, <map>, <map>)",
        ),
    ),
    "time": (
        *("(<time> + <span>)", "(<time> - <span>)", "(<span> + <time>)", "timestamp(dyn(<int>))"),
        *("timestamp(dyn(<string>))", "timestamp(<time>)"),
    ),
    "span": (
        *("(<time> - <time>)", "(<span> + <span>)", "(<span> - <span>)", "duration(dyn(<string>))"),
        "duration(<span>)",
    ),
    "optional": (
        *(
            "(<map>).?<key>",
            "(<path>).?<key>",
            "(<optional>).<key>",
            "(<optional>).?<key>",
            "(<list>)[?<int>]",
        ),
        *(
            "(<map>)[?<any>]",
            "optional.of(<any>)",
            "optional.ofNonZeroValue(<any>)",
            "(<list>).last()",
        ),
        *("(<optional>).or(<optional>)", "(<optional>).optMap(<+x>, <any>)", "(<optional>)[<any>]"),
        *("(<optional>).optFlatMap(<+x>, <optional>)", "regex.extract(<string>, <pattern>)"),
    ),
}
