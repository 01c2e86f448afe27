"""Equations of data sets, such as `( 290.0 / 2.0 )` and `9+9+5=23; 23-7=16`, as worked solutions."""

import ast
import re
from fractions import Fraction

LONGEST = 400
"""Characters of an equation that is read."""
_PLAIN = re.compile(r"[\d.+\-*/() ]+")
_REMAINDER = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*=\s*(\d{1,9})\s*r\s*(\d{1,9})\s*")
_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_WORTH = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


def solved(equation: str, reference: str) -> str:
    """The steps of `equation`, parted by semicolons, a line each: `290 / 2 = 145`. A side that is missing is the
    reference.

    Empty where a step cannot be read or is not true, or where the last does not come to the reference.
    """
    gold = _worth(_parsed(reference))
    steps = [step for step in equation.split(";") if step.strip()] if len(equation) <= LONGEST else []
    if gold is None or not steps:
        return ""
    if "=" not in equation:
        steps = [f"{steps[0]}={reference}"] if len(steps) == 1 else []
    lines = [line for line in (_remainder(step) or _sides(step) for step in steps) if line]
    if not lines or len(lines) < len(steps) or gold not in lines[-1][1]:
        return ""
    return "\n".join(written for written, _ in lines)


def _sides(step: str) -> tuple[str, tuple[Fraction, ...]] | None:
    """`a = b`, and what it comes to."""
    sides = [_parsed(side) for side in step.split("=")]
    worths = {_worth(side) for side in sides}
    [worth, *others] = worths
    computed = any(isinstance(node, ast.BinOp) for side in sides if side for node in ast.walk(side))
    if len(sides) < 2 or others or worth is None or not computed:
        return None
    return " = ".join(_written(side, 0) for side in sides if side), (worth,)


def _remainder(step: str) -> tuple[str, tuple[Fraction, ...]] | None:
    """A division with a remainder, such as `13/4=3 r1`, and the two numbers that it comes to."""
    found = _REMAINDER.fullmatch(step)
    if not found:
        return None
    whole, by, quotient, rest = map(int, found.groups())
    right = whole == by * quotient + rest and rest < by
    return (f"{whole} / {by} = {quotient} remainder {rest}", (Fraction(quotient), Fraction(rest))) if right else None


def _parsed(expression: str) -> ast.expr | None:
    """Numbers, four operations and brackets; None of anything else."""
    text = expression.strip()
    if not _PLAIN.fullmatch(text) or len(text) > LONGEST or "**" in text or "//" in text:
        return None
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _worth(node: ast.expr | None) -> Fraction | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return Fraction(repr(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _worth(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.BinOp) and type(node.op) in _WORTH:
        left, right = _worth(node.left), _worth(node.right)
        if left is None or right is None or (isinstance(node.op, ast.Div) and right == 0):
            return None
        return _WORTH[type(node.op)](left, right)
    return None


def _written(node: ast.expr, binding: int) -> str:
    """As a person would: whole numbers without a point, no brackets but those that are needed."""
    if isinstance(node, ast.UnaryOp):
        return f"-{_written(node.operand, 3)}"
    if isinstance(node, ast.BinOp):
        own = 2 if isinstance(node.op, ast.Mult | ast.Div) else 1
        # a - (b + c) and a / (b * c): what stands right of an operator binds more.
        inner = f"{_written(node.left, own)} {_OPERATORS[type(node.op)]} {_written(node.right, own + 1)}"
        return f"({inner})" if own < binding else inner
    assert isinstance(node, ast.Constant)
    return f"{node.value:.15g}"
