/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose memory is used directly. See trust.h. */
#include "trust.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vm/log.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* include/uapi/asm-generic/socket.h; headers may be older */
#endif

void
vh_trust_init(
	struct vh_trust *t, enum vh_memory memory, struct vh_witness *witness, struct unm_net *net)
{
	*t = (struct vh_trust){.memory = memory, .witness = witness, .net = net, .pidfd = -1};
	unm_net_set_direct(net, memory == VH_MEMORY_DIRECT);
}

static void doubt(struct vh_trust *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Why it is not direct is said once as long as it stays the same. */
static void
doubt(struct vh_trust *t, const char *fmt, ...)
{
	char why[VH_DOUBT_SIZE];
	va_list ap;

	t->is_doubtful = true;
	t->question = 0;
	unm_net_set_direct(t->net, false);
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (strcmp(why, t->logged) == 0 || !unm_net_can_be_direct(t->net))
		return;
	memcpy(t->logged, why, sizeof(why));
	unm_vm_log(unm_net_name(t->net),
		"%s: what it sends is copied before the switch gets it (see --memory)", why);
}

void
vh_trust_begin(struct vh_trust *t, const struct ucred *who, int sock)
{
	socklen_t len = sizeof(t->pidfd);

	if (t->memory != VH_MEMORY_AUTO)
		return;
	if (who->pid == 0) {
		doubt(t, "the front end's process can't be seen from here");
		return;
	}
	if (who->uid != 0 && who->uid != geteuid()) {
		doubt(t, "the front end is user %u's", (unsigned int)who->uid);
		return;
	}
	if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &t->pidfd, &len) != 0) {
		t->pidfd = -1;
		if (errno != ENOPROTOOPT) { /* it has ended: somebody else has its connection */
			vh_trust_handed_on(t);
			return;
		}
	}
	t->question = vh_witness_ask(t->witness, who);
	if (t->question == 0)
		doubt(t, "the front end's user namespace can't be told");
}

/* Of a process that has ended the number may be another's. */
static bool
has_ended(const struct vh_trust *t)
{
	struct pollfd p = {.fd = t->pidfd, .events = POLLIN};

	return t->pidfd >= 0 && poll(&p, 1, 0) != 0;
}

void
vh_trust_answered(struct vh_trust *t, uint32_t question, bool is_ours)
{
	if (t->question == 0 || t->question != question)
		return;
	t->question = 0;
	if (has_ended(t))
		vh_trust_handed_on(t);
	else if (!is_ours)
		doubt(t, "the front end is in another user namespace");
	else
		unm_net_set_direct(t->net, true);
}

void
vh_trust_handed_on(struct vh_trust *t)
{
	if (t->memory == VH_MEMORY_AUTO && !t->is_doubtful)
		doubt(t, "another process than the one that connected is the front end");
}

void
vh_trust_end(struct vh_trust *t)
{
	if (t->memory != VH_MEMORY_AUTO)
		return;
	unm_net_set_direct(t->net, false);
	if (t->pidfd >= 0)
		close(t->pidfd);
	t->pidfd = -1;
	t->question = 0;
	t->is_doubtful = false;
}
