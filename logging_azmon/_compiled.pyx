# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: freethreading_compatible=False, auto_pickle=False, autotestdict=False
"""The compiled twin of `_rows.fast.record`, of `_rows.fast.event` and of the memory store's open batch.

The pure code is the definition. An encoder returns the bytes that the pure function returns, or calls that function
(`otherwise`) before a number is taken or anything is counted; so giving up is always possible, and the pure code begins anew.

Rules:
- Borrowed references live only as long as no other code can run: within the two loops over a record's attributes, which
  call nothing and release nothing. What is used later is held.
- The state of a row is in local variables only, so that objects may log while they are written. The caches of an encoder
  are replaced in one step, under the interpreter's lock, which is not let go here.
- `OpenBatch.append` calls no Python code, and lets the lock go nowhere: it is one step.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Items, PyDict_Next, PyDict_Size
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_Format
from libc.math cimport floor
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    bint PyFloat_CheckExact(PyObject* value)
    bint PyLong_CheckExact(PyObject* value)
    bint PyUnicode_CheckExact(PyObject* value)
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1
    int PyUnicode_Compare(object first, object second) except? -1
    char* PyOS_double_to_string(double value, char code, int precision, int flags, int* kind) except NULL
    PyObject* PyTuple_GET_ITEM(object values, Py_ssize_t index)
    void PyMem_Free(void* memory)
    int Py_DTSF_ADD_DOT_0

cdef enum:
    # The bytes of a row that fit the stack, the most attributes of a record, and the slots of a cache.
    INLINE = 2048
    MOST_NAMES = 40
    SLOTS = 256


cdef double[10] POWERS = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]


# A row in the making: on the stack, and in memory of its own only if it is long.

cdef struct Row:
    char* data
    Py_ssize_t size
    Py_ssize_t room
    char inline[INLINE]


cdef inline void _begin(Row* row) noexcept:
    row.data = row.inline
    row.size = 0
    row.room = INLINE


cdef inline void _end(Row* row) noexcept:
    if row.data != row.inline:
        free(row.data)


cdef int _grow(Row* row, Py_ssize_t more) except -1:
    cdef Py_ssize_t room = 2 * (row.size + more)
    cdef char* data
    if row.data == row.inline:
        data = <char*>malloc(room)
        if data != NULL:
            memcpy(data, row.inline, row.size)
    else:
        data = <char*>realloc(row.data, room)
    if data == NULL:
        raise MemoryError
    row.data = data
    row.room = room
    return 0


cdef inline int _put(Row* row, const char* data, Py_ssize_t size) except -1:
    if size > row.room - row.size:
        _grow(row, size)
    memcpy(row.data + row.size, data, size)
    row.size += size
    return 0


cdef inline int _put_bytes(Row* row, bytes data) except -1:
    return _put(row, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef inline int _put_char(Row* row, char one) except -1:
    if row.size >= row.room:
        _grow(row, 1)
    row.data[row.size] = one
    row.size += 1
    return 0


cdef inline bint _is_plain(uint64_t word) noexcept:
    # Whether none of eight bytes of ASCII is a control character, a quote or a backslash.
    cdef uint64_t quote = word ^ <uint64_t>0x2222222222222222
    cdef uint64_t slash = word ^ <uint64_t>0x5C5C5C5C5C5C5C5C
    cdef uint64_t ones = <uint64_t>0x0101010101010101
    return (((word - ones * 0x20) | (quote - ones) | (slash - ones)) & <uint64_t>0x8080808080808080) == 0


cdef inline int _put_ascii(Row* row, const unsigned char* text, Py_ssize_t length) except -1:
    _put_char(row, c'"')
    _put_escaped(row, text, length)
    return _put_char(row, c'"')


cdef int _put_escaped(Row* row, const unsigned char* text, Py_ssize_t length) except -1:
    # Each character takes six bytes at most.
    cdef Py_ssize_t index = 0
    cdef Py_ssize_t size
    cdef uint64_t word
    cdef unsigned char one
    cdef char* data
    cdef const char* digits = b"0123456789abcdef"
    if 6 * length > row.room - row.size:
        _grow(row, 6 * length)
    data = row.data
    size = row.size
    while index < length:
        if index + 8 <= length:
            memcpy(&word, text + index, 8)
            if _is_plain(word):
                memcpy(data + size, &word, 8)
                size += 8
                index += 8
                continue
        one = text[index]
        index += 1
        if one >= 0x20 and one != c'"' and one != c'\\':
            data[size] = one
            size += 1
            continue
        data[size] = c'\\'
        size += 2
        if one == c'"' or one == c'\\':
            data[size - 1] = one
        elif one == c'\n':
            data[size - 1] = c'n'
        elif one == c'\t':
            data[size - 1] = c't'
        elif one == c'\r':
            data[size - 1] = c'r'
        elif one == 8:
            data[size - 1] = c'b'
        elif one == 12:
            data[size - 1] = c'f'
        else:
            data[size - 1] = c'u'
            data[size] = c'0'
            data[size + 1] = c'0'
            data[size + 2] = digits[one >> 4]
            data[size + 3] = digits[one & 15]
            size += 4
    row.size = size
    return 0


cdef int _put_number(Row* row, long long number) except -1:
    cdef char digits[24]
    cdef Py_ssize_t index = 24
    cdef uint64_t left = <uint64_t>number
    if number < 0:
        left = <uint64_t>0 - left
    while True:
        index -= 1
        digits[index] = <char>(48 + left % 10)
        left //= 10
        if left == 0:
            break
    if number < 0:
        index -= 1
        digits[index] = c'-'
    return _put(row, digits + index, 24 - index)


cdef int _put_decimal(Row* row, uint64_t number, int places) except -1:
    # Write a whole number as one with decimals.
    cdef char digits[32]
    cdef Py_ssize_t index = 32
    cdef int done = 0
    while True:
        index -= 1
        digits[index] = <char>(48 + number % 10)
        number //= 10
        done += 1
        if done == places:
            index -= 1
            digits[index] = c'.'
        elif done > places and number == 0:
            break
    return _put(row, digits + index, 32 - index)


cdef inline int _places(double number, int most, uint64_t* found) noexcept:
    # Return the number of decimals that suffice for a positive number, and the number without its point; or -1. A number
    # of at most 15 digits is the only one of so few digits that is read as this float; so it is what `repr` shows.
    cdef int places
    cdef double scaled
    for places in range(most + 1):
        scaled = number * POWERS[places]
        if scaled >= 1e15:
            return -1
        found[0] = <uint64_t>(scaled + 0.5)
        if <double>found[0] / POWERS[places] == number:
            return places
    return -1


cdef int _put_short_float(Row* row, double number) except -1:
    # Where Python and orjson write the same digits: from 1e-4 to 1e15.
    cdef uint64_t whole = 0
    cdef char* text
    cdef Py_ssize_t size = 0
    cdef int places = _places(number if number > 0 else -number, 9, &whole)
    if places >= 0:
        if number < 0:
            _put_char(row, c'-')
        if places == 0:
            whole *= 10
            places = 1
        return _put_decimal(row, whole, places)
    text = PyOS_double_to_string(number, c'r', 0, Py_DTSF_ADD_DOT_0, NULL)
    while text[size] != 0:
        size += 1
    try:
        return _put(row, text, size)
    finally:
        PyMem_Free(text)


cdef bint _put_fixed(Row* row, double number, int places) except -1:
    # Write as "%.2f" does; return False for a number that would be rounded.
    cdef uint64_t whole = 0
    cdef int found
    if not (1e-4 <= number < 1e9 or -1e9 < number <= -1e-4):
        return False
    found = _places(number if number > 0 else -number, places, &whole)
    if found < 0:
        return False
    while found < places:
        whole *= 10
        found += 1
    if number < 0:
        _put_char(row, c'-')
    if places:
        _put_decimal(row, whole, places)
    else:
        _put_number(row, <long long>whole)
    return True


cdef bint _put_formatted(Row* row, template, tuple args, Py_ssize_t longest) except -1:
    """Write an ordinary template and its arguments; otherwise, write nothing and return False. No other code runs."""
    cdef Py_ssize_t begin = row.size
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t used = 0
    cdef Py_ssize_t count = len(args)
    cdef Py_ssize_t start, length, size
    cdef Py_ssize_t written = 0
    cdef int overflow = 0
    cdef long long number
    cdef const unsigned char* text
    cdef unsigned char kind
    cdef PyObject* value
    if not PyUnicode_IS_ASCII(template):
        return False
    text = <const unsigned char*>PyUnicode_DATA(template)
    length = PyUnicode_GET_LENGTH(template)
    _put_char(row, c'"')
    while True:
        start = position
        while position < length and text[position] != c'%':
            position += 1
        _put_escaped(row, text + start, position - start)
        written += position - start
        if position == length:
            break
        if position + 1 == length:
            used = -1
            break
        kind = text[position + 1]
        position += 2
        if kind == c'%':
            _put_char(row, c'%')
            written += 1
            continue
        if used == count:
            used = -1
            break
        value = PyTuple_GET_ITEM(args, used)
        used += 1
        if (kind == c'd' or kind == c's' or kind == c'i') and PyLong_CheckExact(value):
            number = PyLong_AsLongLongAndOverflow(<object>value, &overflow)
            if overflow:
                used = -1
                break
            _put_number(row, number)
            written += 20
        elif kind == c's' and PyUnicode_CheckExact(value) and PyUnicode_IS_ASCII(<object>value):
            size = PyUnicode_GET_LENGTH(<object>value)
            if size > longest:
                used = -1
                break
            _put_escaped(row, <const unsigned char*>PyUnicode_DATA(<object>value), size)
            written += size
        elif (
            kind == c'.' and PyFloat_CheckExact(value) and position + 1 < length and text[position + 1] == c'f'
            and c'0' <= text[position] <= c'6' and _put_fixed(row, PyFloat_AS_DOUBLE(<object>value), text[position] - 48)
        ):
            position += 2
            written += 20
        else:
            used = -1
            break
    # Numbers count as their longest, so that only text which is surely short enough is written here.
    if used != count or written > longest:
        row.size = begin
        return False
    _put_char(row, c'"')
    return True


cdef inline bint _same(PyObject* first, PyObject* second):
    """Compare two values that are exactly text, a whole number, or None."""
    cdef int over1 = 0
    cdef int over2 = 0
    if first == second:
        return True
    if PyUnicode_CheckExact(first):
        return PyUnicode_CheckExact(second) and PyUnicode_Compare(<object>first, <object>second) == 0
    if not (PyLong_CheckExact(first) and PyLong_CheckExact(second)):
        return False
    one = PyLong_AsLongLongAndOverflow(<object>first, &over1)
    two = PyLong_AsLongLongAndOverflow(<object>second, &over2)
    return over1 == 0 and over2 == 0 and one == two


cdef inline Py_ssize_t _place(PyObject* function, PyObject* line) except -1:
    cdef int overflow = 0
    cdef long long number = 0
    if PyLong_CheckExact(line):
        number = PyLong_AsLongLongAndOverflow(<object>line, &overflow)
    return <Py_ssize_t>(((<size_t>function >> 4) ^ (<size_t>function >> 12) ^ <size_t>number) & (SLOTS - 1))


cdef inline bint _is_simple(PyObject* value) noexcept:
    return (
        PyUnicode_CheckExact(value) or PyLong_CheckExact(value) or PyFloat_CheckExact(value)
        or value == <PyObject*>True or value == <PyObject*>False or value == <PyObject*>None
    )


cdef bint _are_simple(tuple values):
    for value in values:
        if not _is_simple(<PyObject*>value):
            return False
    return True


@cython.final
cdef class _Tail:
    """The end of a row, by the values that it was made of."""

    cdef tuple key
    cdef bytes tail


cdef class _Encoder:
    """What the encoders of records and of events share."""

    cdef object otherwise, tails, seconds, next_number, limit, encode_spans, dumps, hazard_in, options
    cdef dict modules
    cdef frozenset special, ignored
    cdef bytes begin, message, rest, sequence
    cdef bint has_spans
    cdef Py_ssize_t longest, always_short
    # How many values come before the extras, in a record's own order; none in an event.
    cdef Py_ssize_t count
    cdef double second
    cdef bytes second_text
    # How many rows the pure function has encoded.
    cdef readonly Py_ssize_t handed_over

    def __init__(
        self, *, otherwise, tails, seconds, next_number, limit, encode_spans, has_spans, modules, special, ignored,
        columns, longest, always_short, dumps, options, hazard_in,
    ):
        """Take what the pure function is made of; `columns` are those of time, message, rest and sequence, or empty."""
        self.otherwise, self.tails, self.seconds = otherwise, tails, seconds
        self.next_number, self.limit, self.encode_spans = next_number, limit, encode_spans
        self.has_spans, self.modules = has_spans, modules
        self.special, self.ignored, self.longest, self.always_short = special, ignored, longest, always_short
        self.dumps, self.options, self.hazard_in = dumps, options, hazard_in
        time, message, rest, sequence = columns
        self.begin = b'{%b:"' % dumps(time)
        self.message = b'Z",%b:' % dumps(message)
        self.rest = b",%b:{" % dumps(rest) if rest else b""
        self.sequence = b",%b:" % dumps(sequence) if sequence else b""
        self.second = -1.0

    def __repr__(self):
        return f"<{type(self).__name__} beside {self.otherwise!r}>"

    @cython.final
    cdef bytes _finish(self, Row* row, bytes tail, spans):
        """Take the number, when nothing else can fail, and return the line."""
        if self.sequence:
            _put_bytes(row, self.sequence)
            _put_number(row, self.next_number())
        _put_bytes(row, tail)
        if spans:
            row.size -= 2
            _put_bytes(row, spans)
            _put(row, b"}\n", 2)
        line = PyBytes_FromStringAndSize(row.data, row.size)
        return line if row.size < self.always_short else self.limit(line)

    @cython.final
    cdef bint _put_time(self, Row* row, double moment) except -1:
        cdef double second = floor(moment)
        cdef long micros
        cdef int index
        cdef char digits[6]
        cdef bytes text = self.second_text
        if second != self.second or text is None:
            # Raises if the moment is out of range.
            text = self.seconds[second].encode()
            self.second_text = text
            self.second = second
        micros = <long>((moment - second) * 1e6 + 0.5)
        if micros >= 1_000_000:
            return False
        for index in range(5, -1, -1):
            digits[index] = <char>(48 + micros % 10)
            micros //= 10
        _put_bytes(row, self.begin)
        _put_bytes(row, text)
        _put(row, digits, 6)
        return True

    @cython.final
    cdef int _put_text(self, Row* row, text) except -1:
        if PyUnicode_IS_ASCII(text):
            return _put_ascii(row, <const unsigned char*>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))
        # Raises for a lone surrogate.
        return _put_bytes(row, self.dumps(text))

    @cython.final
    cdef bint _are_ordinary_extras(self, dict attributes, Py_ssize_t extras, args) except -1:
        """Return whether the extras can be left out, in a table that has no column for them."""
        cdef list items = PyDict_Items(attributes)
        if len(items) != self.count + extras:
            return False
        for name, value in items[self.count:]:
            if type(name) is not str:
                return False
            if name in self.special:
                if (self.count and args is None) or name not in self.ignored:
                    return False
            elif type(value) is str:
                if len(value) > self.longest:
                    return False
            elif type(value) is not int and type(value) is not float and self.hazard_in(value):
                return False
        return True

    @cython.final
    cdef int _put_simple(self, Row* row, name, PyObject* value, bint is_first) except -2:
        """Write an extra of one of the simplest types; return -1 if it is of another. No other code runs."""
        cdef int overflow = 0
        cdef long long number = 0
        cdef double real = 0.0
        cdef int kind = 0
        if PyUnicode_CheckExact(value):
            if not PyUnicode_IS_ASCII(<object>value) or PyUnicode_GET_LENGTH(<object>value) > self.longest:
                return -1
        elif PyLong_CheckExact(value):
            kind = 1
            number = PyLong_AsLongLongAndOverflow(<object>value, &overflow)
            if overflow:
                return -1
        elif PyFloat_CheckExact(value):
            kind = 2
            real = PyFloat_AS_DOUBLE(<object>value)
            if not (1e-4 <= real < 1e15 or -1e15 < real <= -1e-4):
                return -1
        elif value == <PyObject*>True or value == <PyObject*>False:
            kind = 3
        else:
            return -1
        if not is_first:
            _put_char(row, c',')
        _put_ascii(row, <const unsigned char*>PyUnicode_DATA(name), PyUnicode_GET_LENGTH(name))
        _put_char(row, c':')
        if kind == 0:
            _put_ascii(row, <const unsigned char*>PyUnicode_DATA(<object>value), PyUnicode_GET_LENGTH(<object>value))
        elif kind == 1:
            _put_number(row, number)
        elif kind == 2:
            _put_short_float(row, real)
        elif value == <PyObject*>True:
            _put(row, b"true", 4)
        else:
            _put(row, b"false", 5)
        return 0

    @cython.final
    cdef bint _put_others(
        self, Row* row, dict attributes, Py_ssize_t done, Py_ssize_t extras, bint is_first, exception
    ) except -1:
        """Write the extras from the first one on that is not simple; each is held, because other code may run."""
        cdef list items = PyDict_Items(attributes)
        cdef Py_ssize_t index
        cdef bytes encoded
        if len(items) != self.count + extras:
            return False
        for index in range(done, len(items)):
            name, value = items[index]
            if type(name) is not str or (exception and name == "exception"):
                return False
            if name in self.special:
                if self.count or name not in self.ignored:
                    return False
                continue
            if type(value) is str:
                if len(value) > self.longest:
                    return False
            elif type(value) is not int and type(value) is not float and self.hazard_in(value):
                return False
            # As deep as in the row; what orjson refuses, or may have made a null, is for the pure function.
            encoded = self.dumps(((value,),), None, self.options)
            if b"null" in encoded:
                return False
            if not is_first:
                _put_char(row, c',')
            is_first = False
            self._put_text(row, name)
            _put_char(row, c':')
            _put(row, PyBytes_AS_STRING(encoded) + 2, PyBytes_GET_SIZE(encoded) - 4)
        return True

    @cython.final
    cdef object _spans(self):
        """Return the columns of the current span, if there is one."""
        trace = self.modules.get("opentelemetry.trace")
        if trace is None or trace.get_current_span() is trace.INVALID_SPAN:
            return None
        return self.encode_spans()


@cython.final
cdef class RecordEncoder(_Encoder):
    """Encode the ordinary record; call `otherwise`, the pure function, for any other."""

    cdef object plain, key_of, place_exception
    cdef tuple standard
    cdef PyObject* names[MOST_NAMES]
    cdef int key[MOST_NAMES]
    cdef int key_size
    cdef int msg, args, created, exc_info, exc_text, stack_info, function, line
    cdef list slots

    def __init__(self, *, plain, standard, key_names, key_of, place_exception, **shared):
        """Take what the pure function is made of."""
        super().__init__(**shared)
        if len(standard) > MOST_NAMES or len(key_names) > MOST_NAMES:
            raise ValueError("LogRecord has too many attributes")
        self.plain, self.key_of, self.place_exception = plain, key_of, place_exception
        self.standard = standard
        self.count = len(standard)
        for index in range(self.count):
            self.names[index] = <PyObject*>standard[index]
        self.key_size = len(key_names)
        for index in range(self.key_size):
            self.key[index] = standard.index(key_names[index])
        self.msg, self.args, self.created = standard.index("msg"), standard.index("args"), standard.index("created")
        self.exc_info, self.exc_text = standard.index("exc_info"), standard.index("exc_text")
        self.stack_info = standard.index("stack_info")
        self.function, self.line = standard.index("funcName"), standard.index("lineno")
        self.slots = [None] * SLOTS

    def __call__(self, record, formatter):
        """Encode a record as one line."""
        cdef Row row
        line = None
        if formatter is None and type(record) is self.plain:
            _begin(&row)
            try:
                line = self._encode(&row, record)
            except Exception:
                # The pure function handles whatever has raised.
                pass
            finally:
                _end(&row)
        if line is None:
            self.handed_over += 1
            return self.otherwise(record, formatter)
        return line

    cdef bytes _encode(self, Row* row, record):
        """Return the line, or None if the pure function must decide; in that case nothing was counted."""
        cdef dict attributes = record.__dict__
        cdef PyObject* values[MOST_NAMES]
        cdef PyObject* name = NULL
        cdef PyObject* value = NULL
        cdef Py_ssize_t position = 0
        cdef Py_ssize_t index = 0
        cdef Py_ssize_t extras = PyDict_Size(attributes) - self.count
        cdef double moment
        cdef bint is_untouched
        cdef bytes tail
        # LogRecord's own names first, in its order. Nothing else runs in this loop.
        while index < self.count:
            if not PyDict_Next(attributes, &position, &name, &value) or name != self.names[index]:
                return None
            values[index] = value
            index += 1
        message = <object>values[self.msg]
        args = <object>values[self.args]
        exception = <object>values[self.exc_info]
        if (
            type(message) is not str
            or not PyFloat_CheckExact(values[self.created])
            or <object>values[self.stack_info] is not None
            or (exception is None and <object>values[self.exc_text] is not None)
            or (type(args) is not tuple and args is not None)
        ):
            return None
        moment = PyFloat_AS_DOUBLE(<object>values[self.created])
        # What has run an argument's own code is not to be done again by the pure function.
        if args is not None and extras and not _are_simple(<tuple>args) and not self._has_simple_extras(attributes):
            return None
        tail = self._known_tail(values)
        # From here on, other code may run, and `values` is not used again. If none runs, the extras begin at `position`.
        is_untouched = tail is not None and exception is None and floor(moment) == self.second
        if tail is None:
            tail = self._new_tail(attributes)
        if not self._put_time(row, moment):
            return None
        _put_bytes(row, self.message)
        if args is None or not args or not _put_formatted(row, message, <tuple>args, self.longest):
            if args is not None and args:
                is_untouched = False
                message = PyUnicode_Format(message, args)
            if PyUnicode_GET_LENGTH(message) > self.longest:
                return None
            self._put_text(row, message)
        if exception is not None:
            placed = {}
            exception = self.place_exception(placed, exception)
            if exception is None:
                return None
            for column, text in placed.items():
                _put_char(row, c',')
                self._put_text(row, column)
                _put_char(row, c':')
                self._put_text(row, text)
        if not is_untouched:
            position = 0
        if (extras or exception) and not self._put_rest(row, attributes, extras, args, exception, position):
            return None
        spans = self._spans() if self.has_spans else None
        # The number of a row may have twenty digits.
        if row.size + PyBytes_GET_SIZE(self.sequence) + 20 > self.longest:
            return None
        return self._finish(row, tail, spans)

    cdef bytes _known_tail(self, PyObject** values):
        """Return the end of the row if these values were seen before. No other code runs."""
        cdef int index
        cdef _Tail known
        slot = self._slot(values[self.function], values[self.line])
        if slot is None:
            return None
        known = <_Tail>slot
        for index in range(self.key_size):
            if not _same(<PyObject*>known.key[index], values[self.key[index]]):
                return None
        return known.tail

    cdef object _slot(self, PyObject* function, PyObject* line):
        return self.slots[_place(function, line)]

    cdef bytes _new_tail(self, dict attributes):
        cdef tuple key = self.key_of(attributes)
        cdef bytes tail = self.tails[key]
        cdef _Tail made
        # Only what the pure cache keeps, and what can be compared without other code.
        if key in self.tails and all([type(value) is str or type(value) is int or value is None for value in key]):
            made = _Tail.__new__(_Tail)
            made.key, made.tail = key, tail
            function, line = attributes["funcName"], attributes["lineno"]
            self.slots[_place(<PyObject*>function, <PyObject*>line)] = made
        return tail

    cdef bint _put_rest(
        self, Row* row, dict attributes, Py_ssize_t extras, args, exception, Py_ssize_t position
    ) except -1:
        """Write the extras, which begin at the position if there is one; return False if the pure function must decide."""
        cdef PyObject* name = NULL
        cdef PyObject* value = NULL
        cdef Py_ssize_t index = self.count if position else 0
        cdef bint is_first = True
        cdef int written
        cdef Py_ssize_t begin = row.size
        if not self.rest:
            return not exception and self._are_ordinary_extras(attributes, extras, args)
        _put_bytes(row, self.rest)
        if exception:
            _put(row, b'"exception":', 12)
            self._put_text(row, exception)
            is_first = False
        if PyDict_Size(attributes) != self.count + extras:
            return False
        # Nothing else runs in this loop, as long as the values are of the simplest types.
        while PyDict_Next(attributes, &position, &name, &value):
            if index < self.count:
                # An argument may have changed its own record meanwhile.
                if name != self.names[index]:
                    return False
            else:
                if not PyUnicode_CheckExact(name) or not PyUnicode_IS_ASCII(<object>name):
                    break
                if <object>name in self.special:
                    if args is None or <object>name not in self.ignored:
                        return False
                else:
                    if exception and <object>name == "exception":
                        return False
                    written = self._put_simple(row, <object>name, value, is_first)
                    if written < 0:
                        break
                    is_first = False
            index += 1
        if index < self.count + extras and not self._put_others(row, attributes, index, extras, is_first, exception):
            return False
        if row.data[row.size - 1] == c'{':
            row.size = begin
        else:
            _put_char(row, c'}')
        return True

    cdef bint _has_simple_extras(self, dict attributes):
        cdef PyObject* name = NULL
        cdef PyObject* value = NULL
        cdef Py_ssize_t position = 0
        cdef Py_ssize_t index = 0
        while PyDict_Next(attributes, &position, &name, &value):
            if index >= self.count and not _is_simple(value):
                return False
            index += 1
        return True


@cython.final
cdef class EventEncoder(_Encoder):
    """Encode the ordinary event dict; call `otherwise`, the pure function, for any other."""

    cdef object is_utc_text, now, thread, ident

    def __init__(self, *, is_utc_text, now, thread, ident, **shared):
        """Take what the pure function is made of."""
        super().__init__(**shared)
        self.is_utc_text, self.now, self.thread, self.ident = is_utc_text, now, thread, ident

    def __call__(self, event, method, logger_name):
        """Encode an event dict as one line."""
        cdef Row row
        line = None
        if type(event) is dict:
            _begin(&row)
            try:
                line = self._encode(&row, <dict>event, method, logger_name)
            except Exception:
                # The pure function handles whatever has raised.
                pass
            finally:
                _end(&row)
        if line is None:
            self.handed_over += 1
            return self.otherwise(event, method, logger_name)
        return line

    cdef bytes _encode(self, Row* row, dict event, method, logger_name):
        """Return the line, or None if the pure function must decide; in that case nothing was counted."""
        message = event.get("event")
        moment = event.get("timestamp")
        level = event.get("level")
        logger = event.get("logger")
        if type(message) is not str or PyUnicode_GET_LENGTH(message) > self.longest:
            return None
        if moment is None:
            moment = self.now()
        if type(moment) is float:
            if not self._put_time(row, moment):
                return None
        elif self.is_utc_text(moment):
            _put_bytes(row, self.begin)
            # Its Z is written with the message.
            _put(row, <const char*>PyUnicode_DATA(moment), PyUnicode_GET_LENGTH(moment) - 1)
        else:
            return None
        # Raises for anything but text and None.
        tail = self.tails[level, method, logger_name if logger is None else logger, self.ident(), self.thread().name]
        _put_bytes(row, self.message)
        self._put_text(row, message)
        if not self._put_rest(row, event):
            return None
        spans = self._spans() if self.has_spans else None
        # The number of a row may have twenty digits.
        if row.size + PyBytes_GET_SIZE(self.sequence) + 20 > self.longest:
            return None
        return self._finish(row, tail, spans)

    cdef bint _put_rest(self, Row* row, dict event) except -1:
        """Write the extras; return False if the pure function must decide."""
        cdef PyObject* name = NULL
        cdef PyObject* value = NULL
        cdef Py_ssize_t position = 0
        cdef Py_ssize_t index = 0
        cdef Py_ssize_t size = PyDict_Size(event)
        cdef bint is_first = True
        cdef Py_ssize_t begin = row.size
        if not self.rest:
            return self._are_ordinary_extras(event, size, None)
        _put_bytes(row, self.rest)
        # Nothing else runs in this loop, as long as the values are of the simplest types.
        while PyDict_Next(event, &position, &name, &value):
            if not PyUnicode_CheckExact(name) or not PyUnicode_IS_ASCII(<object>name):
                break
            if <object>name in self.special:
                if <object>name not in self.ignored:
                    return False
            elif self._put_simple(row, <object>name, value, is_first) < 0:
                break
            else:
                is_first = False
            index += 1
        if index < size and not self._put_others(row, event, index, size, is_first, None):
            return False
        if row.data[row.size - 1] == c'{':
            row.size = begin
        else:
            _put_char(row, c'}')
        return True


@cython.final
cdef class OpenBatch:
    """Take rows for the open batch without a lock, and account for its bytes; see `memory_store`."""

    cdef public object put, batch, lock_free, since
    cdef public bytearray data
    cdef public Py_ssize_t reserved, capacity, rows

    def __init__(self, batch, put):
        self.put = put
        self.batch = batch
        self.data = batch.data
        self.since = 0.0
        self.lock_free = None
        self.reserved = 0
        self.capacity = 0
        self.rows = 0

    def append(self, bytes line not None):
        """Take a row, or count it as dropped and return False."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(line)
        # Atomic: no Python code runs here, and the lock is not let go.
        if size <= self.reserved:
            self.data += line
            self.reserved -= size
            self.rows += 1
            return True
        return self.put(line)
