"""Tokens of one expression -> its exact value, by recursive descent. Depth and size are bounded, nothing executed."""

from collections.abc import Sequence
from fractions import Fraction

from cooper_jax.host.verifier.mathematics.algebra.functions import function
from cooper_jax.host.verifier.mathematics.algebra.matrix import Matrix, determinant
from cooper_jax.host.verifier.mathematics.algebra.powers import power, root
from cooper_jax.host.verifier.mathematics.algebra.ratio import (
    Ratio,
    add,
    args_key,
    atom,
    div,
    mul,
    neg,
    number,
    variable,
)
from cooper_jax.host.verifier.mathematics.algebra.sums import ENDLESS, PI, Unreadable
from cooper_jax.host.verifier.mathematics.reading.calls import called, lone
from cooper_jax.host.verifier.mathematics.reading.cursor import Cursor
from cooper_jax.host.verifier.mathematics.reading.grid import enclosed, grid, matrix_next
from cooper_jax.host.verifier.mathematics.reading.series import series
from cooper_jax.host.verifier.mathematics.reading.tokens import Token

_CLOSE = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}


class Reader(Cursor):
    """Reads expressions at a cursor. `loose` reads `a/bc` as a/(bc); `slash` notes that the two readings differ; `sign`
    is what plus-minus stands for, nothing where one value is asked for."""

    def __init__(self, tokens: Sequence[Token], loose: bool = False, sign: str = "") -> None:
        super().__init__(tokens)
        self.loose, self.sign, self.slash = loose, sign, False
        self._bars, self._powered, self._endless = 0, False, False

    def whole(self) -> Ratio:
        """The value of all tokens. Raises Unreadable where some are left."""
        value = self.sum()
        if self.at < len(self.tokens):
            raise Unreadable(f"unexpected {self.tokens[self.at].text or self.tokens[self.at].kind}")
        return value

    def sum(self) -> Ratio:
        """term + term - term ..."""
        total, terms, endless = self._term(), 1, False
        while self._sign_next():
            negative = self._is_negative(self.next())
            goes_on = (token := self.peek()) is not None and token.kind == "dots"
            term = self._rest() if goes_on else self._term()
            total, terms, endless = add(total, neg(term) if negative else term), terms + 1, endless or goes_on
        if endless and len(total.num) != terms:  # 1 + 2 + 3 + ..., 1 + 5 + ...
            raise Unreadable("a sum that goes on, of terms that may be another's")
        return total

    def _rest(self) -> Ratio:
        """What a sum goes on with."""
        self.next()
        if self._endless or ((after := self.peek()) and after.kind != "close" and not self._sign_next()):
            raise Unreadable("dots within an expression")
        self._endless = True
        return variable(ENDLESS)

    def _sign_next(self) -> bool:
        token = self.peek()
        return token is not None and (token.kind == "pm" or (token.kind == "op" and token.text in "+-"))

    def _is_negative(self, token: Token) -> bool:
        if token.kind == "pm":
            if not self.sign:
                raise Unreadable("a plus-minus within an expression")
            return token.text != self.sign
        return token.text == "-"

    def _term(self) -> Ratio:
        negative = False
        while self._sign_next():
            negative ^= self._is_negative(self.next())
        value = self._product()
        return neg(value) if negative else value

    def _product(self) -> Ratio:
        value = self._chain()
        while (token := self.peek()) is not None and token.kind == "op" and token.text in ("*", "/", "mod"):
            self.next()
            negative = False
            while self._sign_next():
                negative ^= self._is_negative(self.next())
            if token.text == "/":
                start = self.at
                right = self._factor()
                if self._factor_next():
                    # a/bc: by the order of signs (a/b)c; many mean a/(bc).
                    self.slash = True
                    if self.loose:
                        self.at = start
                        right = self._chain()
                    else:
                        right = div(right, self._chain())
                value = div(value, right)
            else:
                right = self._chain()
                value = mul(value, right) if token.text == "*" else function("mod", value, right)
            value = neg(value) if negative else value
        return value

    def _chain(self) -> Ratio:
        """Factors side by side. A whole number before a proper fraction is a mixed number."""
        mixed = self._mixed()
        value = mixed if mixed is not None else self._factor()
        while self._factor_next():
            # 2^6 3^5 is a product; 2 3 and (x+1)2 are anyone's guess.
            last, token = self.tokens[self.at - 1], self.tokens[self.at]
            if token.kind == "num" and not self._powered and (last.kind == "num" or self.ahead().text != "^"):
                raise Unreadable("a number behind another factor")
            value = mul(value, self._factor())
        return value

    def _mixed(self) -> Ratio | None:
        here = self.tokens[self.at : self.at + 8]
        kinds = [t.kind for t in here]
        if not kinds or kinds[0] != "num" or not here[0].text.isdigit() or len(kinds) < 2:
            return None
        if kinds[1:4] == ["num", "op", "num"] and here[2].text == "/" and here[1].text.isdigit():
            top, bottom, used = here[1].value, here[3].value, 4
        elif kinds[1] == "frac":
            start = self.at
            self.at += 2
            try:
                top, bottom = self._argument().rational, self._argument().rational
            finally:
                used, self.at = self.at - start, start
            if top is None or bottom is None or top.denominator != 1 or bottom.denominator != 1 or top < 0:
                return None
        else:
            return None
        if top is None or not bottom or not 0 < top < bottom:
            raise Unreadable("a mixed number with an improper fraction")
        self.at += used
        if (token := self.peek()) is not None and token.text == "^":
            raise Unreadable("a power of a mixed number")
        assert here[0].value is not None
        return number(here[0].value + top / bottom)

    def _factor_next(self) -> bool:
        token = self.peek()
        if token is None:
            return False
        if token.kind == "open":
            return token.text in _CLOSE
        return token.kind in ("num", "based", "var", "word", "frac", "sqrt", "binom", "fn", "big", "begin") or (
            token.kind == "bar" and self._opens_bar()
        )

    def _opens_bar(self) -> bool:
        return self._bars % 2 == 0

    def _factor(self) -> Ratio:
        value = self._postfix(self._atom())
        self._powered = False
        while (token := self.peek()) is not None and token.kind == "op" and token.text == "^":
            self.next()
            exponent = self._script()
            value = self._postfix(power(value, exponent))
            if (token := self.peek()) is not None and token.text == "^":
                raise Unreadable("a power of a power without brackets")
            self._powered = True
        return value

    def _postfix(self, value: Ratio) -> Ratio:
        while (token := self.peek()) is not None:
            if token.kind == "op" and token.text == "!":
                self.next()
                double = (after := self.peek()) is not None and after.kind == "op" and after.text == "!"
                self.at += double
                value = function("factorial2" if double else "factorial", value)
            elif token.kind == "degree":
                self.next()
                value = mul(value, div(atom(PI), number(180)))
            elif token.kind == "percent":
                self.next()
                value = div(value, number(100))
            else:
                break
        return value

    def _script(self) -> Ratio:
        """An exponent: the braces or brackets behind `^`, or one token with its sign."""
        token = self.peek()
        if token is None:
            raise Unreadable("an empty exponent")
        if token.kind == "op" and token.text in "+-":
            self.next()
            value = self._atom()
            return neg(value) if token.text == "-" else value
        if token.kind == "word" and len(token.text) > 1:
            raise Unreadable("an exponent of several letters without braces")
        value = self._atom()
        # 2^3^2 is 2^(3^2).
        if (after := self.peek()) is not None and after.kind == "op" and after.text == "^" and token.text != "{":
            self.next()
            self.deeper()
            value = power(value, self._script())
            self.depth -= 1
        return value

    def _argument(self) -> Ratio:
        """A LaTeX argument: braces, or one token, of a number one digit."""
        token = self.peek()
        if token is None:
            raise Unreadable("a command without its argument")
        if token.kind == "num" and len(token.text) > 1:
            if not token.text.isdigit():
                raise Unreadable("a command without its argument")
            # \frac12: the number gives up its first digit.
            rest = token._replace(text=token.text[1:], value=Fraction(token.text[1:]), gap=False)
            self.tokens = [*self.tokens[: self.at], rest, *self.tokens[self.at + 1 :]]
            return number(int(token.text[0]))
        if token.kind == "word":
            rest = token._replace(text=token.text[1:], kind="word" if len(token.text) > 2 else "var")
            self.tokens = [*self.tokens[: self.at], rest, *self.tokens[self.at + 1 :]]
            return variable(token.text[0])
        return self._atom()

    def _atom(self) -> Ratio:
        self.deeper()
        value = self._one()
        self.depth -= 1
        return value

    def _one(self) -> Ratio:
        token = self.next()
        kind = token.kind
        if kind in ("num", "based"):
            assert token.value is not None
            return number(token.value)
        if kind == "var":
            return self._name(token)
        if kind == "word":
            return self._letters(token.text)
        if kind == "open":
            return self._bracketed(token)
        if kind == "bar":
            if matrix_next(self):
                rows = enclosed(self, self._cell)
                self.expect("bar", "|")
                return determinant(rows)
            self._bars += 1
            value = self.sum()
            self.expect("bar", "|")
            self._bars -= 1
            return function("abs", value)
        if kind == "frac":
            top = self._argument()
            return div(top, self._argument())
        if kind == "binom":
            top = self._argument()
            return function("binom", top, self._argument())
        if kind == "sqrt":
            return self._root()
        if kind == "fn":
            if token.text == "det" and matrix_next(self):
                return determinant(enclosed(self, self._cell))
            return self._function(token.text)
        if kind == "big":
            return series(self, token.text, self.sum, self._script, self._product)
        if kind == "begin":
            name, rows = self.matrix()
            if name != "vmatrix":
                raise Unreadable("a matrix in an expression")
            return determinant(rows)
        raise Unreadable(f"unexpected {token.text or kind}")

    def _letters(self, letters: str) -> Ratio:
        """xy is x times y; in xy^2 and xy! what follows belongs to the last letter alone."""
        if len(letters) > 4:
            raise Unreadable(f"the word {letters[:40]}")
        after = self.peek()
        if after is not None and after.text == "(" and not after.gap and lone(self.tokens, self.at):
            raise Unreadable(f"a value of {letters}")
        if len(letters) > 1 and after is not None and (after.kind == "degree" or after.text in ("^", "!")):
            self.tokens = [*self.tokens[: self.at], Token("var", letters[-1]), *self.tokens[self.at :]]
            letters = letters[:-1]
        value = number(1)
        for letter in letters:
            value = mul(value, variable(letter))
        return value

    def _name(self, token: Token) -> Ratio:
        after = self.peek()
        base = token.text.rstrip("'").split("_")[0]
        if after is not None and after.text == "(" and called(base, self.tokens, self.at):
            self.next()
            args = [self.sum()]
            while (comma := self.peek()) is not None and comma.text == ",":
                self.next()
                args.append(self.sum())
            self.expect("close", ")")
            return atom(("f", f"{token.text}()", *args_key(args)))
        return variable(token.text)

    def _bracketed(self, token: Token) -> Ratio:
        if token.text not in _CLOSE or token.text == "\\{":
            raise Unreadable("unexpected bracket")
        bars, self._bars = self._bars, 0
        value = self.sum()
        self._bars = bars
        self.expect("close", _CLOSE[token.text])
        if token.text == "\\lfloor":
            return function("floor", value)
        if token.text == "\\lceil":
            return function("ceil", value)
        return value

    def _root(self) -> Ratio:
        degree = Fraction(2)
        if (token := self.peek()) is not None and token.text == "[":
            self.next()
            found = self.sum().rational
            self.expect("close", "]")
            if found is None or found.denominator != 1:
                raise Unreadable("degree of a root")
            degree = found
        if (token := self.peek()) is not None and token.kind == "num":  # \sqrt 12 is taken whole, \sqrt12 is not.
            if len(token.text) > 1 and not token.gap:
                raise Unreadable("a root of several digits without braces")
            self.next()
            assert token.value is not None
            return root(number(token.value), int(degree))
        return root(self._argument(), int(degree))

    def _function(self, name: str) -> Ratio:
        exponent: Ratio | None = None
        base: Ratio | None = None
        while (token := self.peek()) is not None and token.text in ("^", "_") and token.kind == "op":
            self.next()
            if token.text == "^":
                exponent = self._script()
            else:
                base = self._argument()
        args = self._function_args(name)
        if name == "lg":
            name, base = "log", number(10) if base is None else base
        if name in ("max", "min", "gcd", "lcm"):
            if base is not None or exponent is not None:
                raise Unreadable(f"a script on {name}")
            return function(name, *args)
        if len(args) != 1:
            if name == "log" and base is None and len(args) == 2:
                args, base = args[:1], args[1]
            else:
                raise Unreadable(f"{name} of several arguments")
        if base is not None:
            if name != "log":
                raise Unreadable(f"a subscript on {name}")
            if base.rational == 1:
                raise Unreadable("logarithm to base one")
            value = div(function("ln", args[0]), function("ln", base))
        elif exponent is not None and exponent.rational == -1:
            name = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "sinh": "arcsinh", "cosh": "arccosh"}.get(
                name, ""
            )
            if not name:
                raise Unreadable("an inverse function")
            return function(name, args[0])
        else:
            value = function(name, args[0])
        return value if exponent is None else power(value, exponent)

    def _function_args(self, name: str) -> list[Ratio]:
        token = self.peek()
        if token is None:
            raise Unreadable(f"{name} without an argument")
        if token.kind == "open" and token.text in ("(", "[", "{", "\\{"):
            self.next()
            bars, self._bars = self._bars, 0
            args = [self.sum()]
            while (comma := self.peek()) is not None and comma.text == ",":
                self.next()
                args.append(self.sum())
            self._bars = bars
            self.expect("close", _CLOSE[token.text])
            return args
        # sin 2x cos x: the argument ends before a sign or the next function.
        if token.kind == "op" and token.text == "-":
            self.next()
            return [neg(self._factor())]
        value = self._factor()
        while self._factor_next() and self.tokens[self.at].kind not in ("fn", "big", "open", "bar"):
            value = mul(value, self._factor())
        return [value]

    def matrix(self) -> tuple[str, Matrix]:
        """The rest of `\\begin{name} ... \\end{name}`."""
        return grid(self, self._cell)

    def _cell(self, tokens: Sequence[Token]) -> Ratio:
        return Reader(tokens, self.loose).whole()
