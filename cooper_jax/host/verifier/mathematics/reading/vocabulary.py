"""The commands, signs and words that an answer is written in, and the token that each stands for."""

# ruff: noqa: SIM905 (lists of words)

import re

FUNCTIONS = {
    **{name: name for name in "sin cos tan sec csc cot sinh cosh tanh arcsin arccos arctan ln log exp gcd lcm".split()},
    **{name: name for name in "max min det floor ceil abs arcsinh arccosh arctanh cbrt".split()},
    **{"asin": "arcsin", "acos": "arccos", "atan": "arctan", "lg": "lg", "tg": "tan", "ctg": "cot", "Re": "Re"},
    **{"arcsec": "arcsec", "arccot": "arccot", "arccsc": "arccsc", "Im": "Im", "sgn": "sgn"},
}
"""Names of functions, and the name that each is read as."""
COMMANDS: dict[str, tuple[str, str]] = {
    **{name: ("frac", "frac") for name in ("frac", "dfrac", "tfrac", "cfrac", "rac")},
    **{name: ("binom", "binom") for name in ("binom", "dbinom", "tbinom")},
    **{"cdot": ("op", "*"), "times": ("op", "*"), "ast": ("op", "*"), "div": ("op", "/"), "bullet": ("op", "*")},
    **{"pm": ("pm", "+"), "mp": ("pm", "-"), "infty": ("infty", ""), "sqrt": ("sqrt", ""), "pi": ("var", "pi")},
    **{"le": ("rel", "<="), "leq": ("rel", "<="), "leqslant": ("rel", "<="), "leqq": ("rel", "<=")},
    **{"ge": ("rel", ">="), "geq": ("rel", ">="), "geqslant": ("rel", ">="), "geqq": ("rel", ">=")},
    **{"lt": ("rel", "<"), "gt": ("rel", ">"), "ne": ("rel", "!="), "neq": ("rel", "!="), "in": ("rel", "in")},
    **{"approx": ("rel", "~"), "thickapprox": ("rel", "~"), "simeq": ("rel", "~"), "colon": ("rel", ":")},
    **{"mid": ("mid", ""), "vert": ("bar", "|"), "lvert": ("bar", "|"), "rvert": ("bar", "|"), "equals": ("rel", "=")},
    **{"equiv": ("rel", "=="), "subset": ("rel", "subset"), "supset": ("rel", "supset"), "perp": ("rel", "perp")},
    **{"subseteq": ("rel", "subseteq"), "supseteq": ("rel", "supseteq"), "parallel": ("rel", "parallel")},
    **{"cup": ("set", "cup"), "cap": ("set", "cap"), "setminus": ("set", "minus"), "backslash": ("set", "minus")},
    **{"emptyset": ("empty", ""), "varnothing": ("empty", ""), "lbrace": ("open", "\\{"), "rbrace": ("close", "\\}")},
    **{"lfloor": ("open", "\\lfloor"), "rfloor": ("close", "\\rfloor"), "lceil": ("open", "\\lceil")},
    **{"rceil": ("close", "\\rceil"), "lbrack": ("open", "["), "rbrack": ("close", "]"), "lor": ("sep", "lor")},
    **{"vee": ("sep", "lor"), "land": ("sep", "land"), "wedge": ("sep", "land"), "sum": ("big", "sum")},
    **{"prod": ("big", "prod"), "bmod": ("op", "mod"), "mod": ("op", "mod"), "degree": ("degree", "")},
    **{"circ": ("circ", ""), "prime": ("prime", "'"), "langle": ("open", "("), "rangle": ("close", ")")},
    **{"begin": ("begin", ""), "end": ("end", ""), "rightarrow": ("arrow", ""), "to": ("arrow", "")},
    **{"because": ("bad", ""), "therefore": ("drop", ""), "R": ("domain", "R"), "Z": ("domain", "Z")},
    **{"N": ("domain", "N"), "Q": ("domain", "Q"), "C": ("domain", "C"), "newline": ("row", ""), "cr": ("row", "")},
    **{"textdollar": ("money", "$"), "pounds": ("money", "£"), "textsterling": ("money", "£"), "euro": ("money", "€")},
    **{"texteuro": ("money", "€"), "yen": ("money", "¥"), "textyen": ("money", "¥"), "textcent": ("money", "¢")},
    **{"cdots": ("dots", "…"), "ldots": ("dots", "…"), "dots": ("dots", "…"), "dotsb": ("dots", "…")},
    **{"cent": ("money", "¢"), "textdegree": ("degree", ""), "textpercent": ("percent", "")},
    **{"varepsilon": ("var", "epsilon"), "varphi": ("var", "phi"), "vartheta": ("var", "theta")},
}
"""LaTeX commands: kind and text of their tokens."""
DROPPED = set(
    "displaystyle textstyle scriptstyle "
    "limits nolimits hfill mathstrut strut noindent thinspace rm bf it normalsize large Large "
    "kern hline negthinspace vspace".split()
)
"""Commands that only lay out."""
SIZES = set("left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm".split())
"""Those that change a bracket alone: no space stands where they do."""
WIDE = {"quad", "qquad", "hspace", "enspace"}
"""Commands for a space that may part two statements."""
TEXT = set("text textbf textit textrm textnormal textsf texttt mbox emph textup hbox underline".split())
"""Commands around words."""
UPRIGHT = set("text textrm textnormal mbox mathrm operatorname".split())
"""Commands around words that may be a unit."""
FONT = set("mathrm mathbf mathit mathsf mathtt boldsymbol bm pmb mathnormal operatorname".split())
"""Commands around mathematics in another type."""
ACCENT = set(
    "overline bar hat widehat vec overrightarrow tilde widetilde dot ddot mathbb mathcal mathfrak mathscr angle "
    "triangle overarc".split()
)
"""Commands that make one name of what they are put on."""
SAME_ACCENT = {"overline": "bar", "overrightarrow": "vec", "widehat": "hat", "widetilde": "tilde"}
"""Accents that differ in width alone."""
GREEK = set(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron rho sigma tau upsilon phi chi "
    "psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar".split()
)
"""Letters, as LaTeX names them."""
ESCAPES = {
    "{": ("open", "\\{"),
    "}": ("close", "\\}"),
    "%": ("percent", ""),
    "$": ("money", "$"),
    "|": ("bar", "|"),
    "&": ("bad", "&"),
    "#": ("bad", "#"),
    "_": ("bad", "_"),
}
"""Signs behind a backslash."""
SIGNS: dict[str, tuple[str, str]] = {
    **{c: ("op", c) for c in "+-*/^_!"},
    **{c: ("open", c) for c in "([{"},
    **{c: ("close", c) for c in ")]}"},
    **{",": ("sep", ","), ";": ("sep", ";"), "&": ("amp", ""), "|": ("bar", "|"), "%": ("percent", "")},
    **{"=": ("rel", "="), "<": ("rel", "<"), ">": ("rel", ">"), ":": ("rel", ":"), "$": ("money", "$")},
    **{
        "€": ("money", "€"),
        "£": ("money", "£"),
        "¥": ("money", "¥"),
        "¢": ("money", "¢"),
        "₹": ("money", "₹"),
        "'": ("prime", "'"),
    },
}
"""Signs as they stand."""
WORDS: dict[str, tuple[str, str]] = {
    "pi": ("var", "pi"),
    "and": ("sep", "and"),
    "or": ("sep", "or"),
    "infinity": ("infty", ""),
    "infty": ("infty", ""),
    "inf": ("infty", ""),
    "oo": ("infty", ""),
    "percent": ("percent", ""),
    "sqrt": ("fn", "sqrt"),
    "theta": ("var", "theta"),
    "union": ("set", "cup"),
    "pm": ("pm", "+"),
    "degrees": ("degree", ""),
    "degree": ("degree", ""),
}
"""Plain words that stand for mathematics."""
RESERVATION = re.compile(
    r"\b(?:or|and|not|to|than|about|approx\w*|if|when|plus|minus|more|less|most|least|other\w*|negative|wrong|incorrect"
    r"|false|pi|sqrt|root|squared?$|cubed?$|factorial|half|halve|third|quarter|\w+th|mod|base|time|over|per ?cent|is"
    r"|are|for|where|with|without|such|only|except|unless|every|some|odd$|even$|prime$|composite$|positive$|integral$|real$|"
    r"rational$|irrational$|divisible|multiple|extraneous|rejected|invalid|double|repeated|between|from|by|power)\b"
)
"""What changes the number before it, qualifies it, or takes it back."""
ODD = re.compile(r"[\d\\<>=!?+&|~]")
"""Signs that no name or unit has."""
