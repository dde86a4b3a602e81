/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmreq_options.c - options of port names, for any set of options.
 *
 *	options := {"@" option}
 *	option  := key | key "=" value | key ":" k "=" v {"," k "=" v}
 *
 * The text is copied, then cut in place: at "@" into options, at "," into settings. The values that
 * a callback sees point into that copy. A value after "=" runs to the end of its option, so it may
 * hold any character but "@".
 */
#include "nmport_priv.h"

#include <errno.h>
#include <string.h>

/* Is name the text of this length? - and _ are the same. */
static int
same_name(const char *name, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len && name[i] != '\0'; i++) {
		const char x = name[i] == '_' ? '-' : name[i];
		const char y = text[i] == '_' ? '-' : text[i];

		if (x != y)
			return 0;
	}
	return i == len && name[i] == '\0';
}

static int
n_keys(const struct nmreq_opt_parser *p)
{
	return p->nr_keys < NMREQ_OPT_MAXKEYS ? p->nr_keys : NMREQ_OPT_MAXKEYS;
}

/* Store one value. value is NULL when the text has none. */
static int
set_key(const struct nmreq_opt_parser *p, const struct nmreq_opt_key *k, const char *value,
	struct nmreq_parse_ctx *pctx)
{
	if (k->id < 0 || k->id >= NMREQ_OPT_MAXKEYS) {
		nmctx_ferror(pctx->ctx, "@%s: key %s has the impossible id %d", p->prefix, k->key,
			k->id);
		return -EINVAL;
	}
	if (pctx->keys[k->id] != NULL) {
		nmctx_ferror(pctx->ctx, "@%s: %s is set twice", p->prefix, k->key);
		return -EINVAL;
	}
	if (value == NULL || *value == '\0') {
		if ((k->flags & NMREQ_OPTK_ALLOWEMPTY) == 0) {
			nmctx_ferror(pctx->ctx, "@%s: %s needs =value", p->prefix, k->key);
			return -EINVAL;
		}
		value = "";
	}
	pctx->keys[k->id] = value;
	return 0;
}

/* option=value */
static int
set_default_key(const struct nmreq_opt_parser *p, const char *value, struct nmreq_parse_ctx *pctx)
{
	int i;

	for (i = 0; i < n_keys(p); i++) {
		const struct nmreq_opt_key *k = &p->keys[i];

		if (k->id == p->default_key || (k->flags & NMREQ_OPTK_DEFAULT) != 0)
			return set_key(p, k, value, pctx);
	}
	nmctx_ferror(pctx->ctx, "@%s: write @%s:key=value", p->prefix, p->prefix);
	return -EINVAL;
}

/* k=v,k=v; body is cut */
static int
set_keys(const struct nmreq_opt_parser *p, char *body, struct nmreq_parse_ctx *pctx)
{
	while (body != NULL) {
		char *key = strsep(&body, ",");
		const size_t len = strcspn(key, "=");
		const char *value = key[len] == '=' ? key + len + 1 : NULL;
		int i;

		for (i = 0; i < n_keys(p) && !same_name(p->keys[i].key, key, len); i++)
			;
		if (i == n_keys(p)) {
			nmctx_ferror(pctx->ctx, "@%s: there is no key '%s'", p->prefix, key);
			return -EINVAL;
		}
		if (set_key(p, &p->keys[i], value, pctx) < 0)
			return -EINVAL;
	}
	return 0;
}

static int
check_mandatory(const struct nmreq_opt_parser *p, const struct nmreq_parse_ctx *pctx)
{
	int i;

	for (i = 0; i < n_keys(p); i++) {
		const struct nmreq_opt_key *k = &p->keys[i];

		if ((k->flags & NMREQ_OPTK_MUSTSET) == 0)
			continue;
		if (k->id < 0 || k->id >= NMREQ_OPT_MAXKEYS || pctx->keys[k->id] == NULL) {
			nmctx_ferror(pctx->ctx, "@%s: %s is missing", p->prefix, k->key);
			return -EINVAL;
		}
	}
	return 0;
}

/* Text behind the name of an option: NULL for none, else with its "=" or ":" in front; cut. */
static int
decode_body(const struct nmreq_opt_parser *p, char *body, struct nmreq_parse_ctx *pctx)
{
	if (body == NULL && (p->flags & NMREQ_OPTF_ALLOWEMPTY) != 0)
		return 0;
	if (body == NULL || body[1] == '\0') {
		nmctx_ferror(pctx->ctx, "@%s: write @%s=value or @%s:key=value", p->prefix,
			p->prefix, p->prefix);
		return -EINVAL;
	}
	return *body == '=' ? set_default_key(p, body + 1, pctx) : set_keys(p, body + 1, pctx);
}

/* One option without its "@", up to separator; cut. */
static int
decode_option(char *opt, struct nmreq_opt_parser *parsers, void *token, struct nmctx *ctx)
{
	struct nmreq_parse_ctx pctx = {.ctx = ctx, .token = token};
	const struct nmreq_opt_parser *p;
	const size_t len = strcspn(opt, "=:");
	char *body = opt[len] != '\0' ? opt + len : NULL;

	for (p = parsers; p != NULL && !same_name(p->prefix, opt, len); p = p->next)
		;
	if (p == NULL) {
		nmctx_ferror(ctx, "'@%s': there is no such option", opt);
		return -EINVAL;
	}
	if ((p->flags & NMREQ_OPTF_DISABLED) != 0) {
		nmctx_ferror(ctx, "@%s: this program does not support the option", p->prefix);
		return -EOPNOTSUPP;
	}
	if (decode_body(p, body, &pctx) < 0 || check_mandatory(p, &pctx) < 0)
		return -EINVAL;
	errno = EINVAL; /* for a callback that does not say */
	return p->parse(&pctx) < 0 ? -errno : 0;
}

int
nmreq_options_decode(
	const char *opt, struct nmreq_opt_parser *parsers, void *token, struct nmctx *ctx)
{
	const size_t size = strlen(opt) + 1;
	char *copy, *rest;
	int rv = 0;

	if (*opt == '\0')
		return 0;
	if (*opt != '@') {
		nmctx_ferror(ctx, "'%s': an option begins with @", opt);
		return unm_nmport_result(-EINVAL);
	}
	copy = nmctx_malloc(ctx, size);
	if (copy == NULL) {
		nmctx_ferror(ctx, "no memory for the options of a port name");
		return unm_nmport_result(-ENOMEM);
	}
	memcpy(copy, opt, size);
	rest = copy + 1;
	while (rest != NULL && rv == 0)
		rv = decode_option(strsep(&rest, "@"), parsers, token, ctx);
	nmctx_free(ctx, copy);
	return unm_nmport_result(rv);
}
