/* SPDX-License-Identifier: BSD-2-Clause */
/* Words for groups of feature bits. See offer.h. */
#include "offer.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "vm/net_features.h"
#include "vm/vhost_user/backend.h"

struct word {
	const char *name;
	uint64_t virtio, protocol;
};

static const struct word words[] = {
	{"packed", UNM_F_PACKED, 0},
	{"in-order", UNM_F_IN_ORDER, 0},
	{"event-idx", UNM_F_EVENT_IDX, 0},
	{"indirect", UNM_F_INDIRECT_DESC, 0},
	{"mrg-rxbuf", UNM_F_MRG_RXBUF, 0},
	{"offload", UNM_F_OFFLOADS, 0},
	{"mq", UNM_F_MQ, 0},
	{"ctrl-vq", UNM_F_CTRL_VQ, 0},
	{"mtu", UNM_F_MTU, UNM_VU_PF_BIT(UNM_VU_PF_NET_MTU)},
	{"status", 0, UNM_VU_PF_BIT(UNM_VU_PF_STATUS)},
	{"config", 0, UNM_VU_PF_BIT(UNM_VU_PF_CONFIG)},
	{"mem-slots", 0, UNM_VU_PF_BIT(UNM_VU_PF_CONFIGURE_MEM_SLOTS)},
	{"inflight", 0, UNM_VU_PF_BIT(UNM_VU_PF_INFLIGHT_SHMFD)},
	{"migration", 0, UNM_VU_PF_BIT(UNM_VU_PF_LOG_SHMFD) | UNM_VU_PF_BIT(UNM_VU_PF_RARP)},
};

#define N_WORDS (sizeof(words) / sizeof(words[0]))

static const struct word *
find_word(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < N_WORDS; i++) {
		if (strlen(words[i].name) == len && memcmp(words[i].name, text, len) == 0)
			return &words[i];
	}
	return NULL;
}

static int
refuse(const char *text, size_t len, struct nmt_err *err)
{
	char list[200] = "";
	size_t i, used = 0;

	for (i = 0; i < N_WORDS && used < sizeof(list); i++)
		used += (size_t)snprintf(
			list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", words[i].name);
	return nmt_err_set(err, -EINVAL,
		"'%.*s' is no feature; there are %s, each also with 'no-' in front",
		(int)(len < 40 ? len : 40), text, list);
}

int
vh_features_parse(const char *text, struct vh_features *f, struct nmt_err *err)
{
	struct vh_features result = *f;

	for (;;) { /* a word of the text each time */
		const size_t len = strcspn(text, ",");
		const bool is_off = len > 3 && memcmp(text, "no-", 3) == 0;
		const struct word *w = find_word(text + (is_off ? 3 : 0), len - (is_off ? 3 : 0));

		if (w == NULL)
			return refuse(text, len, err);
		if (is_off) {
			result.virtio_off |= w->virtio;
			result.protocol_off |= w->protocol;
		} else {
			result.virtio_off &= ~w->virtio;
			result.protocol_off &= ~w->protocol;
		}
		if (text[len] == '\0')
			break;
		text += len + 1;
	}
	*f = result;
	return 0;
}
