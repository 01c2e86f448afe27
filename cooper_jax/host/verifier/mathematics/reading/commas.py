"""What a comma between digits means: thousands, a decimal point or the next number."""

import re

_THOUSANDS = re.compile(r"(?<![\d.,])(?!0)\d{1,3}(?:,\d{3})+(?![\d,])")


def variants(text: str) -> list[tuple[str, bool]]:
    """The text with its thousands joined and decimal commas turned into points; where in doubt both ways."""
    text = re.sub(r"(?<=\d)\\[,!;: ](?=\d{3}(?!\d))", "", text)
    if "," not in text:
        spaced = re.fullmatch(r"-?\d{1,3}(?:[ ~]\d{3})+", text)
        return [(re.sub(r"[ ~]", "", text) if spaced else text, True)]
    text = re.sub(r"(?<=\d),\s*\\!\s*(?=\d{3})", "", text)
    text = re.sub(r"(?<=\d)\{,\}(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<=\d)\{,\}(?=\d)", ".", text)
    if re.fullmatch(r"-?\d{1,3}(\.\d{3})+,\d+", text):
        return [(text.replace(".", "").replace(",", "."), True)]
    if text.count(",") == 1 and re.search(r"(?<![\d.])0,\d", text) and not re.search(r"[(\[{]", text):
        point = re.sub(r"(?<=0),(?=\d)", ".", text)
        # 0,1 may be two numbers; 0,125 and 0,05 hardly.
        return [(point, True)] if re.search(r"0,(?:0\d|\d{3})", text) else [(text, True), (point, False)]
    if _THOUSANDS.search(text):
        joined = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
        inside = re.search(r"[(\[{][^)\]}]*\d,\d{3}", text.replace("\\frac{", "").replace("\\text{", ""))
        if inside and not re.search(r",\s", text):
            return [(text, True), (joined, False)] if re.search(r",0\d\d", text) else [(text, True)]
        if inside or re.search(r",0\d\d", text):
            return [(joined, True)]
        return [(joined, True), (text, True)]
    if re.fullmatch(r"\D*\d+,\d+\D*", text) and not re.search(r"[(\[{=<>]", text):
        return [(text, True), (re.sub(r"(?<=\d),(?=\d)", ".", text), False)]
    return [(text, True)]
