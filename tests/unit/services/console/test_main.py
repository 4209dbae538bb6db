"""The command line loads the file of a command, and finds every command."""

from importlib import import_module
from pathlib import Path

import pytest
import typer

from services.console.cli import main
from tests.support.platform import ROOT


def names(app: typer.Typer) -> tuple[str, ...]:
    commands = [one.name or one.callback.__name__.replace("_", "-") for one in app.registered_commands if one.callback]
    return (*commands, *(str(one.name) for one in app.registered_groups))


@pytest.mark.parametrize("file", main.COMMANDS)
def test_each_file_adds_the_commands_that_lead_to_it(file: str) -> None:
    app = typer.Typer()
    import_module(f"services.console.cli.{file}").register(app)
    assert names(app) == main.COMMANDS[file]


def test_every_file_with_commands_is_known() -> None:
    folder: Path = ROOT / "services" / "console" / "cli"
    assert {path.stem for path in folder.glob("*.py") if "\ndef register(" in path.read_text()} == set(main.COMMANDS)


@pytest.mark.parametrize(("words", "wanted"), [
    (["signals", "list", "p"], ("signals",)), (["--help"], None), ([], None), (["nonsense"], None),
    (["access", "explain"], ("replay", "access"))])
def test_a_command_loads_its_own_file_and_anything_else_all(words: list[str], wanted: tuple[str, ...] | None) -> None:
    everything = tuple(name for one in main.COMMANDS.values() for name in one)
    assert sorted(names(main.application(words))) == sorted(wanted or everything)
