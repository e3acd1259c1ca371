"""Selections of rows: a text such as "pt > 20 and abs(eta) < 2.5", or a function.

A text may have column names, numbers, 'text', comparisons (chains too), `and`, `or`,
`not`, `in (1, 2)`, arithmetic, and these functions: abs, sqrt, exp, log, log10, sin,
cos, tan, sinh, cosh, tanh, arctan2, hypot, floor, ceil, round, minimum, maximum,
isfinite, isnan. `x[0]` is the first of a column's fixed number of values per row. A
name that is no Python name stands in backticks: "`mass [GeV]` > 90".

The text is parsed and walked through node by node; no code of it runs. Arithmetic of
whole numbers is in float64, so that nothing overflows. A comparison with NaN is false,
but `!=`, as in NumPy.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Selection", "parse"]

Columns = Mapping[str, np.ndarray]
Select = str | Callable[[Columns], Any]

COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
LOGIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
}
ONE, TWO = (
    {name: getattr(np, name) for name in names.split()}
    for names in (
        "abs sqrt exp log log10 sin cos tan sinh cosh tanh floor ceil isfinite isnan",
        "arctan2 hypot minimum maximum",
    )
)
ONE["round"] = np.rint
REMEDY = 'give a condition such as "pt > 20 and abs(eta) < 2.5", or a function'


class Selection(NamedTuple):
    """Which columns a selection needs, and its mask of rows."""

    names: tuple[str, ...]  # empty for a function, which takes what is read
    mask: Callable[[Columns], np.ndarray]  # columns (rows, …) -> bool (rows,)


def parse(select: Select | None) -> Selection | None:
    """Return the selection that a text or a function states.

    Raises:
        ValueError: something else than a condition; names the part.

    Example:
        >>> cut = parse("pt > 20 and abs(eta) < 2.5")
        >>> cut.names
        ('eta', 'pt')
        >>> cut.mask({"pt": np.array([30.0, 10.0]), "eta": np.array([-1.0, 1.0])})
        array([ True, False])
    """
    if select is None:
        return None
    if callable(select):
        return Selection((), lambda columns: _mask_of(select, columns))
    if not isinstance(select, str):
        raise ValueError(f"select = {select!r} is not valid: {REMEDY}")
    quoted: dict[str, str] = {}  # stand-in -> a name in backticks

    def stand_in(match: re.Match[str]) -> str:
        if match[1] is None:  # 'text', whose backticks are its own
            return match[0]
        name = f"_quoted_{len(quoted)}_"
        quoted[name] = match[1]
        return name

    try:
        text = re.sub(r"'[^']*'|\"[^\"]*\"|`([^`]+)`", stand_in, select.strip())
        tree = ast.parse(text, mode="eval").body
        names: set[str] = set()
        condition = _compiled(tree, quoted, names)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"select = {_short(select)} is no condition ({error}): {REMEDY}"
        ) from error
    except ValueError as error:
        raise ValueError(f"select = {_short(select)}: {error}") from error

    def mask(columns: Columns) -> np.ndarray:
        try:
            with np.errstate(all="ignore"):  # log(-1) is NaN, and fails its comparison
                found = condition(columns)
        except (TypeError, ValueError) as error:
            raise ValueError(f"select = {_short(select)}: {error}") from error
        return _checked(found, columns, select)

    return Selection(tuple(sorted(names)), mask)


def _mask_of(select: Callable[[Columns], Any], columns: Columns) -> np.ndarray:
    try:
        found = select(columns)
    except KeyError as error:
        if str(error.args[0]) in columns:
            raise
        raise ValueError(
            f"select asks for the column {error}, which is not read: read are "
            f"{', '.join(columns)}; name it in columns=, or give a text, which may use "
            "all"
        ) from error
    return _checked(found, columns, select)


Value = Callable[[Columns], Any]


def _compiled(node: ast.AST, quoted: dict[str, str], names: set[str]) -> Value:
    """Return a node as a function of the columns; note the names that it needs."""

    def of(part: ast.AST) -> Value:
        return _compiled(part, quoted, names)

    match node:
        case ast.Constant(value=bool() | int() | float() | str() as constant):
            return lambda columns: constant
        case ast.Name() | ast.Attribute():
            name = _name(node, quoted)
            names.add(name)
            return lambda columns: columns[name]
        case ast.Subscript(value=inner, slice=ast.Constant(value=int() as index)):
            return _indexed(of(inner), index)
        case ast.BoolOp(op=op, values=values):
            return _logic(LOGIC[type(op)], [of(value) for value in values])
        case ast.BinOp(op=op, left=left, right=right) if type(op) in LOGIC:
            return _logic(LOGIC[type(op)], [of(left), of(right)])
        case ast.BinOp(op=op, left=left, right=right) if type(op) in ARITHMETIC:
            function, a, b = ARITHMETIC[type(op)], of(left), of(right)
            return lambda columns: function(_number(a(columns)), _number(b(columns)))
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=inner):
            value = of(inner)
            return lambda columns: np.logical_not(_boolean(value(columns)))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=inner):
            value, sign = of(inner), -1 if isinstance(op, ast.USub) else 1
            return lambda columns: sign * _number(value(columns))
        case ast.Compare(left=left, ops=ops, comparators=others):
            pairs = zip(ops, others, strict=True)
            return _comparison(of(left), ops, [_right(b, op, of) for op, b in pairs])
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if (
            len(arguments) == (name in ONE) + 2 * (name in TWO) > 0
        ):
            function, given = (ONE | TWO)[name], [of(part) for part in arguments]
            return lambda columns: function(*(_number(v(columns)) for v in given))
    raise ValueError(
        f"{ast.unparse(node)!r} is not understood; known are column names, numbers, "
        "comparisons, and, or, not, in, arithmetic, and the functions "
        f"{', '.join([*ONE, *TWO])}"
    )


def _name(node: ast.AST, quoted: dict[str, str]) -> str:
    """Return a column's name; dots belong to it, as in ROOT's branch.leaf."""
    match node:
        case ast.Name(id=name):
            return quoted.get(name, name)
        case ast.Attribute(value=inner, attr=attribute):
            return f"{_name(inner, quoted)}.{attribute}"
    raise ValueError(f"{ast.unparse(node)!r} is no column's name")


def _indexed(value: Value, index: int) -> Value:
    def found(columns: Columns) -> Any:
        array = np.asarray(value(columns))
        if array.ndim != 2 or not 0 <= index < array.shape[1]:
            raise ValueError(
                f"[{index}] asks for one of several values per row, found an array of "
                f"shape {array.shape}"
            )
        return array[:, index]

    return found


def _logic(function: Callable[[Any, Any], Any], values: list[Value]) -> Value:
    def found(columns: Columns) -> Any:
        result = _boolean(values[0](columns))
        for value in values[1:]:
            result = function(result, _boolean(value(columns)))
        return result

    return found


def _right(node: ast.AST, op: ast.cmpop, of: Callable[[ast.AST], Value]) -> Value:
    """Return what a comparison compares with: a tuple of constants for `in`."""
    if not isinstance(op, ast.In | ast.NotIn):
        return of(node)
    try:
        values = ast.literal_eval(node)
    except ValueError:
        values = None
    if not isinstance(values, tuple | list) or not values:
        raise ValueError(
            f"in {ast.unparse(node)} is not understood: give constants, as in (1, 2)"
        )
    return lambda columns: values


def _comparison(left: Value, ops: list[ast.cmpop], rights: list[Value]) -> Value:
    def found(columns: Columns) -> Any:
        result, a = True, left(columns)
        for op, right in zip(ops, rights, strict=True):
            b = right(columns)
            result = np.logical_and(result, _compared(op, a, b))
            a = b
        return result

    for op in ops:
        if isinstance(op, ast.Is | ast.IsNot):
            raise ValueError("`is` compares objects: write == or !=")
    return found


def _compared(op: ast.cmpop, a: Any, b: Any) -> Any:
    if isinstance(op, ast.In | ast.NotIn):
        is_in = np.logical_or.reduce([_compared(ast.Eq(), a, value) for value in b])
        return np.logical_not(is_in) if isinstance(op, ast.NotIn) else is_in
    if _is_text(a) != _is_text(b):
        text, other = (a, b) if _is_text(a) else (b, a)
        raise ValueError(
            f"text ({_example(text)!r}) is compared with numbers ({_example(other)!r})"
        )
    return COMPARISONS[type(op)](a, b)


def _is_text(value: Any) -> bool:
    return isinstance(_example(value), str)


def _example(value: Any) -> Any:
    array = np.asarray(value)
    if array.size:
        return array.flat[0] if array.dtype.kind == "O" else array.flat[0].item()
    return 0.0 if array.dtype.kind in "biuf" else ""


def _number(value: Any) -> Any:
    """Return numbers that can be computed with: whole ones as float64."""
    array = np.asarray(value)
    if array.dtype.kind in "biu":
        return float(array) if array.ndim == 0 else array.astype(np.float64)
    if array.dtype.kind != "f":
        raise ValueError(f"arithmetic with {_example(value)!r}, which is no number")
    return value


def _boolean(value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype != bool:
        raise ValueError(
            f"and, or, not, &, | join conditions, found {_example(value)!r}: put "
            "parentheses around the comparisons that & or | join"
        )
    return array


def _checked(found: Any, columns: Columns, select: Select) -> np.ndarray:
    """Return a mask, one bool a row."""
    num_rows = len(next(iter(columns.values())))
    mask = np.asarray(found)
    if mask.dtype != bool or mask.shape != (num_rows,):
        raise ValueError(
            f"select = {_short(select)} gives {mask.dtype} of shape {mask.shape} for "
            f"{num_rows} rows: give a condition that is true or false for each row"
        )
    return mask


def _short(select: Select) -> str:
    text = repr(select) if isinstance(select, str) else "the function"
    return text if len(text) <= 100 else f"{text[:97]}..."
