"""The command line loads the file of a command, and finds every command."""

import errno
import subprocess
import sys
import tomllib
from importlib import import_module
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import typer

from services.console.cli import application, main
from tests.support.platform import ROOT


def names(app: typer.Typer) -> tuple[str, ...]:
    commands = [one.name or one.callback.__name__.replace("_", "-") for one in app.registered_commands if one.callback]
    return (*commands, *(str(one.name) for one in app.registered_groups))


@pytest.mark.parametrize("file", application.COMMANDS)
def test_each_file_adds_the_commands_that_lead_to_it(file: str) -> None:
    app = typer.Typer()
    import_module(f"services.console.cli.{file}").register(app)
    assert names(app) == application.COMMANDS[file]


def test_every_file_with_commands_is_known() -> None:
    folder: Path = ROOT / "services" / "console" / "cli"
    assert {path.stem for path in folder.glob("*.py") if "\ndef register(" in path.read_text()} == set(
        application.COMMANDS)


@pytest.mark.parametrize(("words", "wanted"), [
    (["signals", "list", "p"], ("signals",)), (["--help"], None), ([], None), (["nonsense"], None),
    (["access", "explain"], ("replay", "access"))])
def test_a_command_loads_its_own_file_and_anything_else_all(words: list[str], wanted: tuple[str, ...] | None) -> None:
    everything = tuple(name for one in application.COMMANDS.values() for name in one)
    assert sorted(names(application.application(words))) == sorted(wanted or everything)


def test_version_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["weir", "--version"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{wanted}\n")


@pytest.mark.parametrize(("name", "value", "says"), [
    ("WEIR_CONTROL_PORT", "pin-4711", "weir: WEIR_CONTROL_PORT: has to be a whole number\n"),
    ("WEIR_INGRESS_PORT", "-1", "weir: WEIR_INGRESS_PORT: has to be greater than 0\n")])
def test_wrong_setting_is_told_by_its_name_and_without_its_value(
        name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["weir", "status"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert (ended.value.code, capsys.readouterr().err) == (1, says)


def test_error_that_is_about_no_setting_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> typer.Typer:
        raise ValueError("of a programmer")
    monkeypatch.setattr(application, "application", broken)
    with pytest.raises(ValueError, match="of a programmer"):
        main.main()


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_terminal_that_lacks_a_character_shows_another_one(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = BytesIO()
    monkeypatch.setattr("sys.stdout", TextIOWrapper(written, encoding=encoding))
    monkeypatch.setattr(application, "application", lambda _: lambda: print("█ ░"))
    main.main()
    main.sys.stdout.flush()
    assert written.getvalue() == b"? ?\n"


def test_disk_that_is_full_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(application, "application", lambda _: full)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert (ended.value.code, capsys.readouterr().err) == (
        1, "weir: the output cannot be written: No space left on device\n")


def test_what_libraries_log_stands_in_nobodys_way() -> None:
    code = ("import logging\nfrom services.console.cli import application, main\n"
            "def fails(*_):\n    logging.getLogger('aiokafka').error('again')\n    raise main.Failure('once')\n"
            "application.application = lambda _: fails\nmain.main()\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60,
                          check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "weir: once\n")


@pytest.mark.parametrize(("closed", "fails"), [(0, ""), (1, ""), (2, "once")])
def test_stream_that_is_closed_is_as_one_that_nobody_looks_at(closed: int, fails: str) -> None:
    code = (f"import os, sys\nos.close({closed})\nsys.{('stdin', 'stdout', 'stderr')[closed]} = None\n"
            "from services.console.cli import application, main\n"
            "def asks(*_):\n    import services.console.cli.output\n    sys.stdin.isatty()\n"
            f"    if {fails!r}:\n        raise main.Failure({fails!r})\n"
            "application.application = lambda _: asks\nmain.main()\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1 if fails else 0, "", "")


def test_command_that_is_ended_while_it_loads_what_it_needs_says_nothing() -> None:
    # loading it takes most of the first second; the finder stands for Ctrl-C in it
    code = ("import sys\n"
            "class CtrlC:\n"
            "    def find_spec(self, name, *_):\n"
            "        if name == 'typer':\n"
            "            raise KeyboardInterrupt\n"
            "sys.meta_path.insert(0, CtrlC())\n"
            "from services.console.cli import main\n"
            "sys.argv = ['weir', 'status']\nmain.main()")
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60,
                           check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
