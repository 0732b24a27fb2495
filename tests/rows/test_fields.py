"""Fields have the order that the encoder expects, and extras are merged without loss."""

from logging_azmon._rows.fields import WantedFields, merge, message_of, origin_of


def test_merging_extras_keeps_both_values_of_a_name():
    assert merge({"a": 1, "a_": 2}, {"a": 3, "b": 4}) == {"a": 1, "a_": 2, "a__": 3, "b": 4}
    assert merge(None, None) == {}


def test_a_table_wants_the_fields_of_its_columns_and_no_others():
    wanted = WantedFields({"line", "thread_id"})

    assert "line" in wanted.site
    assert "thread_id" in wanted.thread
    assert "file" not in wanted.site
    assert wanted.wants({"line", "message", "stack"})
    assert not wanted.wants({"line", "level"})
    assert WantedFields({"event_type"}).wants({"level", "level_number"})


def test_fields_are_packed_by_name_in_the_order_that_the_encoder_reads():
    wanted = WantedFields({"logger", "thread_id"})
    values = {"level": "INFO", "logger": "app", "thread_id": 7, "file": "unwanted"}

    fields = wanted.pack(values, time=1.5, message="hello", stack="Stack", extras={"a": 1}, origin=values)

    site, thread = ("INFO", None, "app"), (None, None, 7)
    assert fields == (1.5, site, thread, "hello", None, "Stack", {"a": 1}, values, None)
    assert (message_of(fields), origin_of(fields)) == ("hello", values)
