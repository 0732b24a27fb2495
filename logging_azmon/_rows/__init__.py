"""Turn a record or an event dict into one line of JSON.

read_record, read_event   read what was logged into `Fields`
layout, column_cache      sort a table's columns by how often their values change
values, jsonable, shrink  encode one value as its column's type
encoder                   joins the encoded values into a row
fast                      does all of it in one step for an ordinary record or event
"""

from . import foreign_types as foreign_types  # registers how objects of other libraries are shown
