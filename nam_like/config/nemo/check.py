"""The drafts before the config models of a run; what those find is told at its place in the YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field

from nam_like.config.document import Document, without_notes
from nam_like.config.errors import ConfigError, Problem, dotted
from nam_like.config.jsonc import loads
from nam_like.config.locate import Loc
from nam_like.config.nemo.convert import Converted
from nam_like.config.nemo.draft import Draft
from nam_like.config.nemo.source import MISSING, Source
from nam_like.config.reading import Files
from nam_like.config.references import resolve
from nam_like.config.run import check_run

__all__ = ["check"]


def check(converted: Converted) -> None:
    """Check every file as a run would, except for values that must still be given.

    Raises:
        ConfigError: with every mistake, placed in the YAML file.
    """
    problems: dict[Problem, None] = {}
    drafts = converted.drafts
    for data in [name for name in ("data", "data_test") if name in drafts]:
        chosen = {"data": drafts[data], "model": drafts["model"], "learning": drafts["learning"]}
        documents = {name: _Imported.of(name, draft, converted.source) for name, draft in chosen.items()}
        values, unresolved = resolve({name: document.value for name, document in documents.items()})
        for name, value in values.items():
            documents[name].value = value
        found = [documents[str(loc[0])].problem(loc[1:], message) for loc, message in unresolved]
        try:
            check_run(Files(dict(documents), problems=tuple(found)))
        except ConfigError as error:
            given = {item for document in documents.values() for item in document.to_be_given}
            problems |= dict.fromkeys(item for item in error.problems if item not in given)
    if problems:
        raise ConfigError(list(problems))


@dataclass
class _Imported(Document):
    """A draft as a run reads it; its problems are placed in the YAML file.

    Attributes:
        draft: what it was read from.
        source: the YAML file.
        to_be_given: problems of values that must still be given.
    """

    draft: Draft = field(default_factory=lambda: Draft(""))
    source: Source | None = None
    to_be_given: list[Problem] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, draft: Draft, source: Source) -> _Imported:
        """Read a draft."""
        text = draft.text()
        return cls(name, source.path, text, without_notes(loads(text)), draft=draft, source=source)

    def problem(self, loc: Loc, message: str, *, key: bool = False) -> Problem:
        """A problem of the value at `loc`, at what it was made of."""
        origin = self.draft.origin_of(loc)
        if origin is None or self.source is None:
            problem = Problem(f"{self.path} as {self.name}.json", 0, 0, dotted(loc), message)
        else:
            problem = self.source.problem(origin, message, key=key)
        if self._value_at(loc) == MISSING:
            self.to_be_given.append(problem)
        return problem
