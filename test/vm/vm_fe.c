/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm-fe: guests with virtio-net cards that do not exist, towards any vhost-user server.
 *
 * Each NIC is a connection with memory, rings and a thread of its own (nic.h). The main thread only
 * sleeps, measures a window in the middle of a steady run, or obeys commands.
 */
#include "vm_fe.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static void
sleep_s(double s)
{
	struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};

	while (nanosleep(&t, &t) < 0)
		continue;
}

/* Who receives what @i sends, if it is in this process. */
static struct nic *
peer_of(struct vm_fe *v, unsigned int i)
{
	unsigned int k;

	for (k = 0; k < v->n_nics; k++)
		if (memcmp(v->config[k].kind.src, v->config[i].kind.dst, 6) == 0)
			return &v->nic[k];
	return NULL;
}

static void
open_nics(struct vm_fe *v)
{
	unsigned int i;
	int ret;

	v->nic = calloc(v->n_nics, sizeof(*v->nic));
	if (v->nic == NULL)
		nmt_die(&vm_fe_cli, "out of memory");
	for (i = 0; i < v->n_nics; i++) {
		struct nic_config *c = &v->config[i];

		if (getrandom(&c->kind.run, sizeof(c->kind.run), 0) != sizeof(c->kind.run))
			nmt_die(&vm_fe_cli, "getrandom: %m");
		ret = nic_open(&v->nic[i], c, c->kind.stream);
		if (ret < 0)
			nmt_die(&vm_fe_cli, "%s: %s", c->fe.path,
				v->nic[i].fe.error[0] != '\0' ? v->nic[i].fe.error
							      : strerror(-ret));
	}
	for (i = 0; i < v->n_nics; i++)
		v->nic[i].peer = peer_of(v, i);
	for (i = 0; i < v->n_nics; i++)
		if (nic_run(&v->nic[i]) < 0)
			nmt_die(&vm_fe_cli, "cannot make a thread");
}

static void
measure(struct vm_fe *v)
{
	static struct vm_fe_sample before, after;

	sleep_s(v->warm_up);
	vm_fe_sample(v, &before);
	sleep_s(v->seconds);
	vm_fe_sample(v, &after);
	vm_fe_report(v, &before, &after);
}

int
main(int argc, char **argv)
{
	static struct vm_fe v;
	unsigned int i;
	int ret = EXIT_SUCCESS;

	signal(SIGPIPE, SIG_IGN);
	vm_fe_parse(&v, argc, argv);
	open_nics(&v);
	if (v.has_control)
		vm_fe_control(&v);
	else
		measure(&v);
	for (i = 0; i < v.n_nics; i++) {
		nic_close(&v.nic[i]);
		if (v.nic[i].fault != NULL) {
			fprintf(stderr, "vm-fe: %s: %s\n", v.nic[i].c.fe.path, v.nic[i].fault);
			ret = EXIT_FAILURE;
		}
	}
	free(v.nic);
	return ret;
}
