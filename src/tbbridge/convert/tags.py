"""The tag that a log call names, checked: a text, and one that TensorBoard can show."""

from __future__ import annotations

from tbbridge.convert.arrays import with_article
from tbbridge.errors import InvalidItem
from tbbridge.names import TagName, tag_name


def checked_tag(tag: object) -> TagName:
    """`tag` as `tag_name` passes it; anything but a text is told with the order of the arguments, the likely mistake."""
    if not isinstance(tag, str):
        raise InvalidItem(
            "tag", f"the tag is {with_article(type(tag).__name__)}; call add_...(tag, value) with a str as tag", "tag"
        )
    return tag_name(tag)
