"""The settings table: flags, TBBRIDGE_* variables, and what is said about a value that cannot be."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tbbridge.errors import InvalidSetting
from tbbridge.server.settings import SETTINGS, ServerSettings, from_environment

NAMES = [setting.name for setting in SETTINGS]


def test_table_covers_every_field():
    assert [item.name for item in dataclasses.fields(ServerSettings)] == [*NAMES, "tokens", "groups"]


@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
def test_default_as_typed_reads_as_the_default(setting):
    assert setting.read(setting.default_text, "test") == setting.default


@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
def test_help_is_a_sentence(setting):
    assert setting.help.endswith(".")


def test_flag_wins_over_variable_and_variable_over_default():
    made = from_environment(
        {"TBBRIDGE_PORT": "7000", "TBBRIDGE_HOST": "::1", "TBBRIDGE_LOG_LEVEL": "", "PATH": "/bin"},
        {"port": "7001", "logdir": "logs", "host": None},
    )
    assert (made.port, made.host, made.log_level, made.logdir) == (7001, "::1", "info", Path("logs"))


def test_variables_that_are_no_settings_are_left_alone():
    """Kubernetes sets such ones for a service of this name."""
    assert from_environment({"TBBRIDGE_SERVICE_HOST": "10.0.0.1"}) == ServerSettings()


@pytest.mark.parametrize(("text", "size"), [("4096", 4096), ("64KiB", 65536), ("2 mib", 2**21), ("1GiB", 2**30)])
def test_sizes_take_units(text, size):
    assert from_environment({"TBBRIDGE_QUEUE_MAX_BYTES": text}).queue_max_bytes == size


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("TBBRIDGE_PORT", "http", "give a whole number"),
        ("TBBRIDGE_PORT", "6007.0", "give a whole number"),
        ("TBBRIDGE_PORT", "65536", "at most 65535"),
        ("TBBRIDGE_PORT", "-1", "at least 0"),
        ("TBBRIDGE_PORT", "9" * 40, "give a whole number"),
        ("TBBRIDGE_BODY_MAX_BYTES", "1023", "at least 1024"),
        ("TBBRIDGE_BODY_MAX_BYTES", "lots", "64MiB"),
        ("TBBRIDGE_BODY_MAX_BYTES", "64MB", "64MiB"),
        ("TBBRIDGE_QUEUE_MAX_BYTES", "-5", "64MiB"),
        ("TBBRIDGE_SHUTDOWN_TIMEOUT_S", "nan", "number of seconds"),
        ("TBBRIDGE_SHUTDOWN_TIMEOUT_S", "soon", "number of seconds"),
        ("TBBRIDGE_SHUTDOWN_TIMEOUT_S", "0", "at least 0.1"),
        ("TBBRIDGE_OPEN_FILES_MAX", "0", "at least 1"),
        ("TBBRIDGE_LOG_LEVEL", "loud", "critical, error, warning, info, debug"),
    ],
)
def test_a_bad_value_names_its_variable_and_what_it_takes(variable, text, says):
    with pytest.raises(InvalidSetting) as raised:
        from_environment({variable: text})
    assert variable in raised.value.message
    assert says in raised.value.message


def test_a_bad_flag_is_named_as_the_flag():
    with pytest.raises(InvalidSetting, match="--port is 'x'"):
        from_environment({"TBBRIDGE_PORT": "y"}, {"port": "x"})


def test_values_given_in_code_are_checked_too():
    with pytest.raises(InvalidSetting, match="port is 70000"):
        ServerSettings(port=70000)


@pytest.mark.parametrize(
    "given",
    [
        {"TBBRIDGE_BODIES_IN_FLIGHT_MAX_BYTES": "1MiB"},
        {"TBBRIDGE_BODY_MAX_BYTES": "100MiB"},
        {"TBBRIDGE_DECODED_MAX_BYTES": "97MiB"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_budget_below_one_body_which_would_get_429_for_ever_is_refused_at_the_start(given):
    with pytest.raises(InvalidSetting, match=r"--bodies-in-flight-max-bytes is .* 429 for ever\. Raise it to"):
        from_environment(given)


def test_a_budget_of_exactly_one_body_is_taken():
    made = from_environment({"TBBRIDGE_BODIES_IN_FLIGHT_MAX_BYTES": "96MiB"})
    assert made.bodies_in_flight_max_bytes == made.body_max_bytes + made.decoded_max_bytes
