/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device server is killed at any instruction, and another one takes over its queues: with the in-
 * flight region, or, for split rings, by the used index alone, for packed ones by the server's own
 * record. No descriptor is lost, none is used twice, order is kept. The guest goes on in between, or
 * does not.
 *
 * A child serves a queue one machine instruction at a time (ptrace). Whenever an instruction has
 * changed memory that outlives it, the parent takes a copy of that memory, starts a queue on it as
 * the next server would, serves the driver to the end, checks what it got, and puts the memory back
 * for the next step.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vq_rig.h"

#define SKIP	   77
#define MAX_PART   8
#define MAX_CHAINS 12u /* that the driver has made available before the child begins */
#define MAX_STEPS  200000u

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s: %s:%d: %s\n", rig.c.name, __FILE__, __LINE__, #cond); \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static struct rig rig;
static uint64_t due; /* token that the driver has to get next */
static uint64_t added;

/* What the parent's driver knows of the ring changes in a check, and is put back after it. */
struct driver_copy {
	struct vd vd;
	struct vd_slot *slot;
	uint16_t *fifo;
	uint64_t due;
};

static size_t
ring_size(void)
{
	return (size_t)(rig.buffers - RIG_GPA);
}

/* What outlives the server beside the ring. */
static void *
kept(void)
{
	return rig.record != NULL ? rig.record : rig.inflight;
}

static size_t
kept_size(void)
{
	if (rig.record != NULL)
		return UNM_RECORD_SIZE;
	return rig.inflight != NULL ? UNM_INFLIGHT_PART(rig.c.num) : 0;
}

static void *
copy_of(const void *p, size_t len)
{
	void *c = malloc(len > 0 ? len : 1);

	CHECK(c != NULL);
	if (len > 0)
		memcpy(c, p, len);
	return c;
}

static struct driver_copy
driver_save(void)
{
	return (struct driver_copy){
		.vd = rig.vd,
		.slot = copy_of(rig.vd.slot, rig.c.num * sizeof(*rig.vd.slot)),
		.fifo = copy_of(rig.vd.fifo, rig.c.num * sizeof(*rig.vd.fifo)),
		.due = due,
	};
}

static void
driver_restore(struct driver_copy *c)
{
	memcpy(rig.vd.slot, c->slot, rig.c.num * sizeof(*rig.vd.slot));
	memcpy(rig.vd.fifo, c->fifo, rig.c.num * sizeof(*rig.vd.fifo));
	rig.vd = c->vd;
	due = c->due;
	free(c->slot);
	free(c->fifo);
}

/*
 * Chains of one to three descriptors, of which the last one is to be written to, if any is. Return:
 * how many there was no room for.
 */
static unsigned int
add_up_to(unsigned int n)
{
	for (; n > 0; n--, added++) {
		const struct vd_seg seg[3] = {{rig.buffers + added * 64, 60},
			{rig.buffers + 65536, 10}, {rig.buffers + 131072, 20}};
		const unsigned int n_segs = 1 + (unsigned int)(added % 3);
		const unsigned int n_write = rig.c.in_order ? 0 : n_segs > 1;

		if (vd_add(&rig.vd, seg, n_segs - n_write, n_write, added) != 0)
			break;
	}
	vd_publish(&rig.vd);
	return n;
}

static void
add_chains(unsigned int n)
{
	CHECK(add_up_to(n) == 0);
}

/*
 * Peek up to @peek chains, push up to @push of them, make that visible, and give
 * the others back. Return: number pushed.
 */
static unsigned int
serve(unsigned int peek, unsigned int push)
{
	struct unm_vq_part part[MAX_CHAINS][MAX_PART];
	struct unm_vq_chain c[MAX_CHAINS];
	unsigned int n, i;

	for (n = 0; n < peek; n++) {
		const int ret = unm_vq_peek(rig.q, &c[n], part[n], MAX_PART);

		CHECK(ret >= 0);
		if (ret == 0)
			break;
	}
	for (i = 0; i < n && i < push; i++)
		unm_vq_push(rig.q, &c[i], c[i].write_len);
	unm_vq_flush(rig.q);
	unm_vq_rewind(rig.q);
	return i;
}

static void
driver_gets(void)
{
	struct vd_used used[MAX_CHAINS];
	int n, i;

	do {
		n = vd_get(&rig.vd, used, MAX_CHAINS);
		CHECK(n >= 0);
		for (i = 0; i < n; i++)
			CHECK(used[i].token == due++);
	} while (n > 0);
}

/* The next server takes over, is killed as well, and the guest goes on; or had gone on before. */
static void
take_over(bool goes_on)
{
	struct unm_vq *childs = rig.q; /* as it was at the fork */
	const uint64_t were_added = added;

	rig.q = NULL;
	driver_gets();
	if (goes_on)
		add_up_to(rig.c.num);
	CHECK(rig_restart(&rig, vd_crash_base(&rig.vd)) == 0);
	CHECK(serve(2, 0) == 0);
	CHECK(rig_restart(&rig, vd_crash_base(&rig.vd)) == 0); /* and the next but one */
	while (serve(3, 1) > 0) { /* as many turns as there are chains */
		const uint64_t before = due;

		driver_gets();
		CHECK(due == before + 1);
	}
	CHECK(due == added);
	add_chains(3);
	while (serve(2, 2) > 0)
		;
	driver_gets();
	CHECK(due == added);
	CHECK(rig.vd.n_in_flight == 0);
	added = were_added;
	unm_vq_free(rig.q);
	rig.q = childs;
}

/* A server has died in the middle of a batch. */
static void
leave_batch(void)
{
	struct unm_vq_part part[MAX_PART];
	struct unm_vq_chain c[3];
	unsigned int i;

	for (i = 0; i < 3; i++)
		CHECK(unm_vq_peek(rig.q, &c[i], part, MAX_PART) == 1);
	for (i = 0; i < 2; i++)
		unm_vq_push(rig.q, &c[i], c[i].write_len);
}

/* What the child does; positions are anywhere in the ring. */
static void
child(bool takes_over)
{
	if (takes_over)
		CHECK(rig_restart(&rig, vd_crash_base(&rig.vd)) == 0);
	serve(4, 3);
	serve(3, 2);
}

static pid_t
start_child(bool takes_over, int *status)
{
	const pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(SKIP);
		raise(SIGSTOP);
		child(takes_over);
		_exit(0);
	}
	CHECK(waitpid(pid, status, 0) == pid);
	if (WIFEXITED(*status) && WEXITSTATUS(*status) == SKIP) {
		printf("may not trace a child of our own here\n");
		exit(SKIP);
	}
	return pid;
}

static void
put_back(const uint8_t *ring, const void *outside)
{
	memcpy(rig.guest, ring, ring_size());
	if (kept() != NULL)
		memcpy(kept(), outside, kept_size());
}

static bool
has_changed(const uint8_t *ring, const void *outside)
{
	return memcmp(ring, rig.guest, ring_size()) != 0 ||
	       (kept() != NULL && memcmp(outside, kept(), kept_size()) != 0);
}

static void
check_state(void)
{
	uint8_t *ring = copy_of(rig.guest, ring_size());
	void *outside = copy_of(kept(), kept_size());
	unsigned int goes_on;

	for (goes_on = 0; goes_on < 2; goes_on++) {
		struct driver_copy d = driver_save();

		take_over(goes_on == 1);
		put_back(ring, outside);
		driver_restore(&d);
	}
	free(ring);
	free(outside);
}

static void
at_every_step(bool takes_over)
{
	uint8_t *ring = copy_of(rig.guest, ring_size());
	void *outside = copy_of(kept(), kept_size());
	unsigned int n_steps = 0, n_states = 0;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = start_child(takes_over, &status);
	for (;;) {
		const bool ended = WIFEXITED(status);

		if (n_steps == 0 || ended || has_changed(ring, outside)) {
			memcpy(ring, rig.guest, ring_size());
			if (kept() != NULL)
				memcpy(outside, kept(), kept_size());
			check_state();
			n_states++;
		}
		if (ended)
			break;
		CHECK(n_steps++ < MAX_STEPS);
		CHECK(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) || (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP));
	}
	CHECK(WEXITSTATUS(status) == 0);
	printf("%s: %u instructions, %u states\n", rig.c.name, n_steps, n_states);
	CHECK(n_states > 5);
	free(ring);
	free(outside);
}

static const struct rig_config configs[] = {
	{.name = "split", .num = 16},
	{.name = "split, in flight", .num = 16, .has_inflight = true},
	{.name = "split, in order, in flight", .num = 16, .in_order = true, .has_inflight = true},
	{.name = "split, tables, in flight", .num = 16, .table_len = 4, .has_inflight = true},
	{.name = "packed, in flight", .num = 23, .is_packed = true, .has_inflight = true},
	{.name = "packed, in order, in flight",
		.num = 23,
		.is_packed = true,
		.in_order = true,
		.has_inflight = true},
	{.name = "packed, tables, in flight",
		.num = 16,
		.is_packed = true,
		.table_len = 4,
		.has_inflight = true},
	{.name = "packed, record", .num = 23, .is_packed = true, .has_record = true},
	{.name = "packed, in order, record",
		.num = 23,
		.is_packed = true,
		.in_order = true,
		.has_record = true},
	{.name = "packed, tables, record",
		.num = 16,
		.is_packed = true,
		.table_len = 4,
		.has_record = true},
};

static void
check_config(const struct rig_config *c, unsigned int shift, bool takes_over)
{
	unsigned int k;

	due = added = 0;
	rig_open(&rig, c);
	for (k = 0; k < 5 * shift; k++) {
		add_chains(1);
		CHECK(serve(1, 1) == 1);
		driver_gets();
	}
	add_chains(6);
	if (takes_over)
		leave_batch();
	at_every_step(takes_over);
	rig_close(&rig);
}

int
main(void)
{
	unsigned int i, shift;

	for (i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		/* From different places of the ring on, so that it wraps at different points. */
		for (shift = 0; shift < 3; shift++) {
			check_config(&configs[i], shift, false);
			check_config(&configs[i], shift, true);
		}
	}
	return 0;
}
