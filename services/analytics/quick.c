/* The loops of fold.py and sightings.py that run for every event of the cluster.

   In:    usage events, and the dicts, sets and lists of the caller.
   Out:   the same, with the plain events added.
   Never: a rule of its own: whatever is not plain, or comes again, goes to `rest`, the loop in Python.

   Events and sums are structs of msgspec, whose fields are slots: `learn` notes where in the object each one stands. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <math.h>

#define MINUTE_MS 60000
#define MAX_DIGITS 18
#define MAX_MICROS (1LL << 53)

static PyTypeObject *event_type, *sums_type;
static PyObject *word_request, *one;

/* in the order of `event_fields` and `sums_fields` */
enum { KIND, TIME, PROJECT, OPERATION, CLIENT, SOURCE, STATUS, REASON, TASKS, BYTES_IN, BYTES_OUT, TIMING, ORIGIN,
       ADDRESS, TOKEN, EVENT_FIELDS };
enum { REQUESTS, SUM_TASKS, SUM_BYTES_IN, SUM_BYTES_OUT, MICROS, SLOTS, SUMS_FIELDS };
static const char *event_fields[EVENT_FIELDS] = {
    "kind", "time", "project", "operation", "client", "source", "status", "reason", "tasks", "bytes_in", "bytes_out",
    "timing", "origin", "address", "token"};
static const char *sums_fields[SUMS_FIELDS] = {"requests", "tasks", "bytes_in", "bytes_out", "micros", "slots"};
static Py_ssize_t in_event[EVENT_FIELDS], in_sums[SUMS_FIELDS];

#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))
#define OF_EVENT(event, field) SLOT(event, in_event[field])

static int learn_type(PyTypeObject *type, const char **names, int count, Py_ssize_t *offsets)
{
    for (int at = 0; at < count; at++) {
        PyObject *found = PyObject_GetAttrString((PyObject *)type, names[at]);
        if (found == NULL)
            return -1;
        int plain = Py_IS_TYPE(found, &PyMemberDescr_Type)
            && ((PyMemberDescrObject *)found)->d_member->type == T_OBJECT_EX;
        if (plain)
            offsets[at] = ((PyMemberDescrObject *)found)->d_member->offset;
        Py_DECREF(found);
        if (!plain) {
            PyErr_Format(PyExc_TypeError, "%s.%s is no slot of an object", type->tp_name, names[at]);
            return -1;
        }
    }
    return 0;
}

static PyObject *learn(PyObject *self, PyObject *args)
{
    PyTypeObject *event, *sums;
    Py_ssize_t of_event[EVENT_FIELDS], of_sums[SUMS_FIELDS];
    if (!PyArg_ParseTuple(args, "O!O!", &PyType_Type, &event, &PyType_Type, &sums)
        || learn_type(event, event_fields, EVENT_FIELDS, of_event) < 0
        || learn_type(sums, sums_fields, SUMS_FIELDS, of_sums) < 0)
        return NULL;
    memcpy(in_event, of_event, sizeof in_event);
    memcpy(in_sums, of_sums, sizeof in_sums);
    Py_INCREF(event);
    Py_INCREF(sums);
    Py_XSETREF(event_type, event);
    Py_XSETREF(sums_type, sums);
    Py_RETURN_NONE;
}

static int is_request(PyObject *kind)
{
    return kind == word_request || (PyUnicode_Check(kind) && PyUnicode_Compare(kind, word_request) == 0);
}

static int all_there(PyObject *event)
{
    for (int at = 0; at < EVENT_FIELDS; at++)
        if (OF_EVENT(event, at) == NULL)
            return 0;
    return 1;
}

static int hand_over(PyObject *rest, PyObject *event)
{
    PyObject *done = PyObject_CallOneArg(rest, event);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* a number from 0 on that fits, or -1 */
static long long small(PyObject *number)
{
    int overflow;
    if (!PyLong_CheckExact(number))
        return -1;
    long long found = PyLong_AsLongLongAndOverflow(number, &overflow);
    return overflow ? -1 : found;
}

/* the time of all hops together, or -1 */
static long long micros_of(PyObject *timing)
{
    PyObject *hop, *took;
    Py_ssize_t at = 0;
    long long sum = 0;
    if (!PyDict_CheckExact(timing))
        return -1;
    while (PyDict_Next(timing, &at, &hop, &took)) {
        long long micros = small(took);
        if (micros < 0 || micros > MAX_MICROS || (sum += micros) > MAX_MICROS)
            return -1;
    }
    return sum;
}

/* Numbers of the place that the last event had: the next one mostly has the same. All but `name` are borrowed. */
typedef struct { PyObject *name, *numbers, *counted; } Place;

/* The place that an origin names, and the number in it; 1 when it is plain, 0 when not, -1 on an error. */
static int read_origin(PyObject *origin, PyObject *seen, PyObject *known, Place *place, long long *number)
{
    if (!PyUnicode_CheckExact(origin) || !PyUnicode_IS_COMPACT_ASCII(origin))
        return 0;
    const char *text = PyUnicode_DATA(origin);
    Py_ssize_t length = PyUnicode_GET_LENGTH(origin), end = length;
    while (end > 0 && text[end - 1] >= '0' && text[end - 1] <= '9')
        end--;
    if (end == length || length - end > MAX_DIGITS || end < 1 || text[end - 1] != '/')
        return 0;
    *number = 0;
    for (Py_ssize_t at = end; at < length; at++)
        *number = *number * 10 + (text[at] - '0');
    end--;
    if (place->name != NULL && PyUnicode_GET_LENGTH(place->name) == end
        && memcmp(PyUnicode_DATA(place->name), text, (size_t)end) == 0)
        return 1;
    Py_XSETREF(place->name, PyUnicode_Substring(origin, 0, end));
    if (place->name == NULL)
        return -1;
    place->numbers = PyDict_GetItemWithError(seen, place->name);
    if (place->numbers == NULL) {
        PyObject *fresh = PyErr_Occurred() ? NULL : PySet_New(NULL);
        if (fresh == NULL || PyDict_SetItem(seen, place->name, fresh) < 0) {
            Py_XDECREF(fresh);
            return -1;
        }
        place->numbers = fresh;
        Py_DECREF(fresh);
    }
    place->counted = PyDict_GetItemWithError(known, place->name);
    return place->counted == NULL && PyErr_Occurred() ? -1 : 1;
}

/* 1 when a number is new, 0 when not, -1 on an error */
static int is_new(const Place *place, PyObject *number)
{
    int there = PySet_Contains(place->numbers, number);
    if (there == 0 && place->counted != NULL)
        there = PySet_Contains(place->counted, number);
    return there < 0 ? -1 : !there;
}

static int add_to(PyObject *sums, int field, PyObject *amount)
{
    PyObject *sum = PyNumber_Add(SLOT(sums, in_sums[field]), amount);
    if (sum == NULL)
        return -1;
    Py_SETREF(SLOT(sums, in_sums[field]), sum);
    return 0;
}

/* as `measures.slot_of` has it */
static int add_time(PyObject *sums, long long micros)
{
    PyObject *slots = SLOT(sums, in_sums[SLOTS]), *took = PyLong_FromLongLong(micros);
    PyObject *slot = PyLong_FromLong(2 + (long)(log((double)micros) * 10));
    int result = -1;
    if (took != NULL && slot != NULL && add_to(sums, MICROS, took) == 0) {
        PyObject *count = PyDict_GetItemWithError(slots, slot);
        PyObject *more = count != NULL ? PyNumber_Add(count, one) : PyErr_Occurred() ? NULL : Py_NewRef(one);
        if (more != NULL)
            result = PyDict_SetItem(slots, slot, more);
        Py_XDECREF(more);
    }
    Py_XDECREF(took);
    Py_XDECREF(slot);
    return result;
}

/* the sums of an event's group, borrowed, made where there are none yet; NULL on an error */
static PyObject *sums_of(PyObject *groups, PyObject *event, PyObject *minute)
{
    PyObject *group = PyTuple_Pack(7, OF_EVENT(event, PROJECT), minute, OF_EVENT(event, OPERATION),
                                   OF_EVENT(event, CLIENT), OF_EVENT(event, SOURCE), OF_EVENT(event, STATUS),
                                   OF_EVENT(event, REASON));
    PyObject *sums = group == NULL ? NULL : PyDict_GetItemWithError(groups, group);
    if (sums == NULL && !PyErr_Occurred() && (sums = PyObject_CallNoArgs((PyObject *)sums_type)) != NULL) {
        int kept = PyDict_SetItem(groups, group, sums);
        Py_DECREF(sums);
        sums = kept < 0 ? NULL : sums;
    }
    Py_XDECREF(group);
    if (sums != NULL && (!Py_IS_TYPE(sums, sums_type) || !PyDict_CheckExact(SLOT(sums, in_sums[SLOTS])))) {
        PyErr_SetString(PyExc_TypeError, "sums are kept in another way than take() makes them");
        return NULL;
    }
    return sums;
}

/* 1 when an origin has not been counted, and now is; 0 when it has been, or is not plain; -1 on an error */
static int count_origin(PyObject *origin, PyObject *seen, PyObject *known, Place *place)
{
    long long number;
    int fresh = read_origin(origin, seen, known, place, &number);
    if (fresh <= 0)
        return fresh;
    PyObject *counted = PyLong_FromLongLong(number);
    if (counted == NULL)
        return -1;
    fresh = is_new(place, counted);
    if (fresh > 0 && PySet_Add(place->numbers, counted) < 0)
        fresh = -1;
    Py_DECREF(counted);
    return fresh;
}

/* 1 when the event is counted, 0 when it is for the loop in Python, -1 on an error */
static int take_one(PyObject *event, PyObject *seen, PyObject *known, PyObject *groups, PyObject *requests,
                    Place *place)
{
    long long time, micros;
    PyObject *minute, *sums;
    if (!Py_IS_TYPE(event, event_type) || !all_there(event) || !is_request(OF_EVENT(event, KIND)))
        return 0;
    time = small(OF_EVENT(event, TIME));
    micros = micros_of(OF_EVENT(event, TIMING));
    if (time < 0 || micros < 0)
        return 0;
    if (OF_EVENT(event, ORIGIN) != Py_None) {
        int fresh = count_origin(OF_EVENT(event, ORIGIN), seen, known, place);
        if (fresh <= 0)
            return fresh;
    }
    if ((minute = PyLong_FromLongLong(time / MINUTE_MS)) == NULL)
        return -1;
    sums = sums_of(groups, event, minute);
    Py_DECREF(minute);
    if (sums == NULL || PyList_Append(requests, event) < 0 || add_to(sums, REQUESTS, one) < 0
        || add_to(sums, SUM_TASKS, OF_EVENT(event, TASKS)) < 0
        || add_to(sums, SUM_BYTES_IN, OF_EVENT(event, BYTES_IN)) < 0
        || add_to(sums, SUM_BYTES_OUT, OF_EVENT(event, BYTES_OUT)) < 0 || (micros && add_time(sums, micros) < 0))
        return -1;
    return 1;
}

static PyObject *take(PyObject *self, PyObject *args)
{
    PyObject *events, *seen, *known, *groups, *requests, *rest, *result = NULL;
    Place place = {NULL, NULL, NULL};
    if (!PyArg_ParseTuple(args, "O!O!O!O!O!O", &PyTuple_Type, &events, &PyDict_Type, &seen, &PyDict_Type, &known,
                          &PyDict_Type, &groups, &PyList_Type, &requests, &rest))
        return NULL;
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(events); at++) {
        PyObject *event = PyTuple_GET_ITEM(events, at);
        int done = take_one(event, seen, known, groups, requests, &place);
        if (done < 0 || (done == 0 && hand_over(rest, event) < 0))
            goto end;
    }
    result = Py_NewRef(Py_None);
end:
    Py_XDECREF(place.name);
    return result;
}

/* 1 when the caller and its place are known, 0 when the event is for the loop in Python, -1 on an error */
static int see_one(PyObject *event, PyObject *callers, PyObject *places, PyObject *noted, long long tick_ms)
{
    PyObject *project, *client, *address, *token, *tick, *key, *count, *more;
    long long time;
    int there;
    if (!Py_IS_TYPE(event, event_type) || !all_there(event))
        return 0;
    if ((there = PySet_Contains(noted, OF_EVENT(event, REASON))) != 0)
        return there < 0 ? -1 : 0;
    project = OF_EVENT(event, PROJECT), client = OF_EVENT(event, CLIENT);
    address = OF_EVENT(event, ADDRESS), token = OF_EVENT(event, TOKEN);
    if (!PyUnicode_CheckExact(client) || (time = small(OF_EVENT(event, TIME))) < 0)
        return 0;
    if (token != Py_None) {
        if ((key = PyTuple_Pack(3, project, token, address)) == NULL)
            return -1;
        there = PyDict_Contains(places, key);
        Py_DECREF(key);
        if (there <= 0)
            return there;
    }
    if ((tick = PyLong_FromLongLong(time / tick_ms)) == NULL)
        return -1;
    key = PyTuple_Pack(4, tick, project, client, PyUnicode_GET_LENGTH(client) ? Py_None : address);
    Py_DECREF(tick);
    if (key == NULL)
        return -1;
    count = PyDict_GetItemWithError(callers, key);
    Py_DECREF(key);
    if (count == NULL || !PyList_CheckExact(count) || PyList_GET_SIZE(count) != 1)
        return PyErr_Occurred() ? -1 : 0;
    if ((more = PyNumber_Add(PyList_GET_ITEM(count, 0), one)) == NULL || PyList_SetItem(count, 0, more) < 0)
        return -1;
    return 1;
}

static PyObject *see(PyObject *self, PyObject *args)
{
    PyObject *events, *callers, *places, *noted, *rest;
    long long tick_ms;
    if (!PyArg_ParseTuple(args, "O!O!O!O!LO", &PyList_Type, &events, &PyDict_Type, &callers, &PyDict_Type, &places,
                          &PyFrozenSet_Type, &noted, &tick_ms, &rest))
        return NULL;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(events); at++) {
        PyObject *event = Py_NewRef(PyList_GET_ITEM(events, at));
        int done = see_one(event, callers, places, noted, tick_ms);
        if (done == 0)
            done = hand_over(rest, event);
        Py_DECREF(event);
        if (done < 0)
            return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"learn", learn, METH_VARARGS, "learn(event: type, sums: type): note where their fields stand."},
    {"take", take, METH_VARARGS, "take(events, seen, known, groups, requests, rest): add up events."},
    {"see", see, METH_VARARGS, "see(events, callers, places, noted, tick_ms, rest): count calls."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "quick", "Loops over usage events.", -1, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_quick(void)
{
    word_request = PyUnicode_InternFromString("request");
    one = PyLong_FromLong(1);
    if (word_request == NULL || one == NULL)
        return NULL;
    return PyModule_Create(&module);
}
