/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of ports. See list.h.
 *
 * netmapd answers in JSON. We are in somebody else's program, so no JSON library is drawn in for
 * one table: the answer's form is known,
 *
 *	{"ports":[{"name":"vale0:a","users":1,"dropped":{...},...},...]}
 *
 * and what is needed are strings, numbers and truths of the objects in that array. Whatever else is
 * in there is skipped by its brackets and quotes.
 */
#include "pcap/list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/conn.h"
#include "shm/socket_dir.h"

#define MAX_DEPTH 16
#define MAX_PORTS 65536

struct reader {
	const char *p;
};

static void
skip_blanks(struct reader *r)
{
	r->p += strspn(r->p, " \t\r\n");
}

static bool
take(struct reader *r, char c)
{
	skip_blanks(r);
	if (*r->p != c)
		return false;
	r->p++;
	return true;
}

/* Four hexadecimal digits, at @p. Return: their value, or -1. */
static long
hex4(const char *p)
{
	char digits[5] = "";

	if (strspn(p, "0123456789abcdefABCDEF") < 4)
		return -1;
	memcpy(digits, p, 4);
	return strtol(digits, NULL, 16);
}

/* Where a string goes. An escaped character that does not fit is left out whole, with all behind it. */
struct text {
	char *out;
	size_t n, size;
};

static void
put(struct text *t, const char *bytes, size_t n)
{
	if (n < t->size - t->n) {
		memcpy(t->out + t->n, bytes, n);
		t->n += n;
	} else {
		t->size = t->n + 1;
	}
}

static void
put_utf8(struct text *t, unsigned long code)
{
	char b[4];

	if (code < 0x80) {
		b[0] = (char)code;
		put(t, b, 1);
	} else if (code < 0x800) {
		b[0] = (char)(0xc0 | code >> 6);
		b[1] = (char)(0x80 | (code & 0x3f));
		put(t, b, 2);
	} else if (code < 0x10000) {
		b[0] = (char)(0xe0 | code >> 12);
		b[1] = (char)(0x80 | (code >> 6 & 0x3f));
		b[2] = (char)(0x80 | (code & 0x3f));
		put(t, b, 3);
	} else {
		b[0] = (char)(0xf0 | code >> 18);
		b[1] = (char)(0x80 | (code >> 12 & 0x3f));
		b[2] = (char)(0x80 | (code >> 6 & 0x3f));
		b[3] = (char)(0x80 | (code & 0x3f));
		put(t, b, 4);
	}
}

/* What follows "\u". NUL can't be in our strings, and half a pair is no character: both are refused. */
static bool
take_code(struct reader *r, struct text *t)
{
	long code = hex4(r->p), low;

	if (code <= 0 || (code >= 0xdc00 && code < 0xe000))
		return false;
	r->p += 4;
	if (code >= 0xd800 && code < 0xdc00) {
		if (r->p[0] != '\\' || r->p[1] != 'u')
			return false;
		low = hex4(r->p + 2);
		if (low < 0xdc00 || low >= 0xe000)
			return false;
		r->p += 6;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	put_utf8(t, (unsigned long)code);
	return true;
}

/* What follows a backslash. */
static bool
take_escape(struct reader *r, struct text *t)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char c = *r->p, *at = c != '\0' ? strchr(letters, c) : NULL;

	if (c == '\0')
		return false;
	r->p++;
	if (c == 'u')
		return take_code(r, t);
	if (at == NULL)
		return false;
	put(t, &meant[at - letters], 1);
	return true;
}

/* A string, cut to be shorter than @size; @out may be NULL, with size 0. */
static bool
take_string(struct reader *r, char *out, size_t size)
{
	char none[1];
	struct text t = {out != NULL ? out : none, 0, out != NULL ? size : sizeof(none)};

	if (!take(r, '"'))
		return false;
	while (*r->p != '"') {
		if (*r->p == '\0')
			return false;
		if (*r->p != '\\') {
			put(&t, r->p++, 1);
			continue;
		}
		r->p++;
		if (!take_escape(r, &t))
			return false;
	}
	r->p++;
	t.out[t.n] = '\0';
	return true;
}

/* Any value. */
static bool
skip_value(struct reader *r)
{
	unsigned int depth = 0;

	do { /* each round takes a character at least */
		skip_blanks(r);
		switch (*r->p) {
		case '\0':
			return false;
		case '"':
			if (!take_string(r, NULL, 0))
				return false;
			break;
		case '{':
		case '[':
			if (++depth > MAX_DEPTH)
				return false;
			r->p++;
			break;
		case '}':
		case ']':
			if (depth-- == 0)
				return false;
			r->p++;
			break;
		case ',':
		case ':':
			if (depth == 0)
				return false;
			r->p++;
			break;
		default: /* a number or a word */
			r->p += strcspn(r->p + 1, ",:{}[]\" \t\r\n") + 1;
		}
	} while (depth > 0);
	return true;
}

static bool
take_number(struct reader *r, uint64_t *out)
{
	char *end;

	skip_blanks(r);
	if (*r->p < '0' || *r->p > '9')
		return false;
	*out = strtoull(r->p, &end, 10);
	r->p = end;
	return true;
}

static bool
take_truth(struct reader *r, bool *out)
{
	skip_blanks(r);
	*out = *r->p == 't';
	return skip_value(r);
}

static bool
take_field(struct reader *r, struct unm_list_port *port)
{
	char key[32];

	if (!take_string(r, key, sizeof(key)) || !take(r, ':'))
		return false;
	if (strcmp(key, "name") == 0)
		return take_string(r, port->name, sizeof(port->name));
	if (strcmp(key, "kind") == 0)
		return take_string(r, port->kind, sizeof(port->kind));
	if (strcmp(key, "switch") == 0)
		return take_string(r, port->vale, sizeof(port->vale));
	if (strcmp(key, "users") == 0)
		return take_number(r, &port->users);
	if (strcmp(key, "attached") == 0)
		return take_truth(r, &port->is_attached);
	if (strcmp(key, "link") == 0)
		return take_truth(r, &port->has_link);
	return skip_value(r);
}

static bool
take_port(struct reader *r, struct unm_list_port *port)
{
	memset(port, 0, sizeof(*port));
	if (!take(r, '{'))
		return false;
	if (take(r, '}'))
		return true;
	do {
		if (!take_field(r, port))
			return false;
	} while (take(r, ','));
	return take(r, '}');
}

/*
 * A namespace stands behind "%" in netmapd's names. In those that programs use only a path may have
 * some characters there, any other is given as an option.
 */
static void
complete_netns(struct unm_list_port *port)
{
	const char *netns = strchr(port->name, '%');
	char name[UNM_LIST_NAME_SIZE];

	if (netns == NULL || netns[1] == '/' || strpbrk(netns, "-*^") == NULL)
		return;
	memcpy(name, port->name, sizeof(name));
	snprintf(port->name, sizeof(port->name), "%.*s@netns=%.63s", (int)(netns - port->name),
		name, name + (netns - port->name) + 1);
}

/* netmapd names ports without the prefix that programs use, unless they have one of their own. */
static void
complete_name(struct unm_list_port *port)
{
	char bare[UNM_LIST_NAME_SIZE];

	complete_netns(port);
	if (strncmp(port->name, "vale", 4) == 0 && strchr(port->name, ':') != NULL)
		return;
	if (strncmp(port->name, "tap:", 4) == 0)
		return;
	memcpy(bare, port->name, sizeof(bare));
	snprintf(port->name, sizeof(port->name), "netmap:%.72s", bare);
}

static bool
is_wanted(const struct unm_list_port *port)
{
	return port->name[0] != '\0' && strcmp(port->kind, "monitor") != 0;
}

int
unm_list_parse(const char *json, struct unm_list_port **out)
{
	struct reader r = {json};
	struct unm_list_port *ports = NULL, *more, one;
	size_t n = 0, room = 0;
	char key[32];

	*out = NULL;
	if (!take(&r, '{') || !take_string(&r, key, sizeof(key)) || strcmp(key, "ports") != 0 ||
		!take(&r, ':') || !take(&r, '['))
		return -EPROTO;
	if (take(&r, ']'))
		return 0;
	do {
		if (n == MAX_PORTS || !take_port(&r, &one))
			goto nonsense;
		if (!is_wanted(&one))
			continue;
		if (n == room) {
			room = room > 0 ? room * 2 : 16;
			more = realloc(ports, room * sizeof(*ports));
			if (more == NULL) {
				free(ports);
				return -ENOMEM;
			}
			ports = more;
		}
		complete_name(&one);
		ports[n++] = one;
	} while (take(&r, ','));
	if (!take(&r, ']'))
		goto nonsense;
	*out = ports;
	return (int)n;
nonsense:
	free(ports);
	return -EPROTO;
}

int
unm_list_ports(struct unm_list_port **out, unsigned int wait_ms, char *why)
{
	static const char *const words[] = {"show", "ports"};
	struct unm_conn c;
	char *text = NULL;
	int ret = unm_conn_open_for(&c, NULL, wait_ms);

	if (ret == 0 && unm_socket_is_isolated(c.path)) { /* the answer is known */
		snprintf(c.text, sizeof(c.text),
			"isolated clients get no list, but may capture from ports by name");
		ret = -EPERM;
	} else if (ret == 0) {
		ret = unm_conn_ask(&c, words, 2, &text);
	}
	unm_conn_close(&c);
	if (ret == -ENOENT || ret == -ECONNREFUSED)
		c.text[0] = '\0';
	snprintf(why, UNM_LIST_WHY_SIZE, "%s", c.text);
	if (ret < 0)
		return ret;
	ret = unm_list_parse(text, out);
	free(text);
	if (ret < 0)
		snprintf(why, UNM_LIST_WHY_SIZE, "%s",
			ret == -ENOMEM ? "out of memory" : "netmapd's answer makes no sense");
	return ret;
}

void
unm_list_describe(const struct unm_list_port *p, char *text, size_t size)
{
	const bool in_use = p->users > 0 || p->is_attached;

	snprintf(text, size, "netmap port%s%s, %s%s", p->vale[0] != '\0' ? " of switch " : "",
		p->vale[0] != '\0' ? p->vale : "", in_use ? "in use" : "not in use",
		p->has_link ? "" : ", link down");
}
