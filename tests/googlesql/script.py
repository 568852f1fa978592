"""Scripts taken apart without changing a character: what is analysed is what dbt would send."""

from sqlglot.dialects.bigquery import BigQuery
from sqlglot.tokenizer_core import Token, TokenType

OPEN = {TokenType.L_PAREN, TokenType.L_BRACKET}
CLOSE = {TokenType.R_PAREN, TokenType.R_BRACKET}


def tokens(sql: str) -> list[Token]:
    """The tokens of a text, comments and strings understood."""
    return list(BigQuery().tokenize(sql))


def split(script: str) -> list[str]:
    """The statements of a script, each in its own words and with the comments before it."""
    found, start, any_token = [], 0, False
    for token in tokens(script):
        if token.token_type == TokenType.SEMICOLON:
            if any_token:
                found.append(script[start : token.start].strip())
            start, any_token = token.end + 1, False
        else:
            any_token = True
    if any_token:
        found.append(script[start:].strip())
    return found


def is_query(statement: str) -> bool:
    """Whether a statement is a query: it opens with SELECT, WITH or a parenthesis."""
    return tokens(statement)[0].token_type in {TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN}


def is_view(create: str) -> bool:
    """Whether a CREATE statement makes a view."""
    head = [t.token_type for t in tokens(create)[:6]]
    return TokenType.VIEW in head


def query_of(create: str) -> str:
    """The text after the AS of `CREATE TABLE ... AS query` or `CREATE VIEW ... AS query`."""
    depth = 0
    for token in tokens(create):
        depth += (token.token_type in OPEN) - (token.token_type in CLOSE)
        if token.token_type == TokenType.ALIAS and depth == 0:
            return create[token.end + 1 :].strip()
    raise ValueError(f"no AS in\n{create}")


def has_limit_zero(query: str) -> bool:
    """Whether the whole query ends in LIMIT 0, so that its answer has columns and no row."""
    words = tokens(query)
    while words[0].token_type == TokenType.L_PAREN and _closing(words) == len(words) - 1:
        words = words[1:-1]
    return [t.text.upper() for t in words[-2:]] == ["LIMIT", "0"]


def _closing(words: list[Token]) -> int | None:
    """The place of the token that closes the first one."""
    depth = 0
    for place, token in enumerate(words):
        depth += (token.token_type in OPEN) - (token.token_type in CLOSE)
        if depth == 0:
            return place
    return None


def between_parentheses(sql: str, opening: int) -> tuple[str, int]:
    """The text inside the parenthesis that opens at offset `opening`, and the offset after its end."""
    depth = 0
    for token in tokens(sql):
        if token.start < opening:
            continue
        depth += (token.token_type == TokenType.L_PAREN) - (token.token_type == TokenType.R_PAREN)
        if depth == 0:
            return sql[opening + 1 : token.start], token.end + 1
    raise ValueError(f"the parenthesis at {opening} stays open in\n{sql}")
