"""The texts of the dbt project, read from its files: each stands once. No engine and no dbt."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[2] / "data" / "warehouse"
YML = sorted(
    path for folder in ("models", "snapshots", "seeds") for path in (PROJECT / folder).rglob("*.yml")
)
LONG = 8  # words; shorter texts, such as "ISO 4217 code.", may stand where they are read


def doc_blocks() -> dict[str, str]:
    """The texts of `models/docs/*.md` by the name of their block."""
    block = re.compile(r"\{% docs (\w+) %\}\n(.*?)\n\{% enddocs %\}", re.DOTALL)
    found = [
        pair
        for path in (PROJECT / "models" / "docs").glob("*.md")
        for pair in block.findall(path.read_text())
    ]
    names = [name for name, _ in found]
    assert sorted(set(names)) == sorted(names), "two blocks have one name"
    return dict(found)


def descriptions(node: yaml.Node, seen: set[int]) -> Iterator[str]:
    """Every value of `description`; what an alias repeats (`*columns`) is written once, so it counts once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "description":
                yield value.value
            else:
                yield from descriptions(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from descriptions(value, seen)


def described(path: Path) -> list[str]:
    """The descriptions in a yml file as they are written, references to doc blocks included."""
    return list(descriptions(yaml.compose(path.read_text(), yaml.CSafeLoader), set()))


def sentences(text: str) -> list[str]:
    """The sentences of a text, without references to doc blocks."""
    own = re.sub(r"\{\{.*?\}\}", " ", text)
    return [" ".join(sentence.split()) for sentence in re.split(r"(?<=\.)\s+", own)]


def repeated(texts: list[str]) -> list[str]:
    """The long sentences that stand more than once. A grain may: two tables can have the same key."""
    counted = Counter(
        sentence
        for text in texts
        for sentence in sentences(text)
        if len(sentence.split()) >= LONG and not sentence.startswith("Grain:")
    )
    return sorted(sentence for sentence, times in counted.items() if times > 1)


def test_no_long_sentence_stands_twice() -> None:
    texts = [text for path in YML for text in described(path)]
    assert len(texts) > 500
    assert repeated([*texts, *doc_blocks().values()]) == [], "put it into a doc block in models/docs"


def test_every_doc_block_exists_and_is_used() -> None:
    used = {
        name
        for path in YML
        for text in described(path)
        for name in re.findall(r"\{\{ doc\('(\w+)'\) \}\}", text)
    }
    assert used == set(doc_blocks())


def test_a_repeated_sentence_is_found() -> None:
    sentence = "Energy that the participant of the plan used on site."
    assert repeated([f"{sentence} In kWh.", f"{{{{ doc('tenant_id') }}}} {sentence}"]) == [sentence]
    assert repeated(["ISO 4217 code.", "ISO 4217 code."]) == []


def test_an_alias_is_no_repetition() -> None:
    shared = "models:\n  - columns: &columns\n      - {name: a, description: Text.}\n  - columns: *columns\n"
    assert list(descriptions(yaml.compose(shared, yaml.CSafeLoader), set())) == ["Text."]


def test_types_are_written_for_both_engines() -> None:
    """The macro sql_type gives a type its name on each engine; a condition here would be a second place."""
    types = {name for path in YML for name in re.findall(r"data_type: (.*)", path.read_text())}
    assert types
    assert {name for name in types if not re.fullmatch(r"[a-z]+(\(\d+,\d+\))?", name)} == set()


def test_a_mart_shares_its_contract_with_its_candidate() -> None:
    for candidate in (PROJECT / "models" / "candidates").glob("*.sql"):
        name = candidate.stem.removeprefix("candidate_")
        text = (PROJECT / "models" / "marts" / f"mart_{name}.yml").read_text()
        assert "columns: &columns" in text and "columns: *columns" in text, name
        assert f"- name: candidate_{name}" in text, name
        assert "{{ publish_candidate() }}" in (PROJECT / "models" / "marts" / f"mart_{name}.sql").read_text()
