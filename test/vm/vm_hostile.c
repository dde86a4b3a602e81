/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm-hostile: a guest that attacks its device server through its rings and memory.
 *
 * It starts like any guest, commits one attack, keeps kicking for a while, and says what became of
 * it:
 *
 *   broken    the server has signalled the err descriptor of the ring
 *   closed    the server has ended the connection
 *   survived  neither: what was sent was dropped, or made sense by accident
 *
 * Whether others suffered is for the caller to see. The attacks are in the table below; those on a
 * split ring and on a packed ring write the formats of VIRTIO 1.2, 2.7 and 2.8 with the one mistake
 * that their name says.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "frames.h"
#include "netdrv.h"
#include "nmt_cli.h"
#include "nmt_json.h"
#include "shm/atomic.h"

#define ATTACK_MS  150
#define NOTICED_MS 3000
#define RING_SIZE  256u
#define TABLE_LEN  16u
#define BUF_LEN	   2048u
#define MEM_SIZE   (8u << 20)
#define NOWHERE	   0xdead0000000ull
#define REPLY_MS   5000
#define CONNECT_MS 10000
#define BATCHES	   100u
#define BATCH_MS   5u

struct victim {
	struct fe fe;
	struct nd_queue rx, tx;
	uint8_t *spare; /* a page of guest memory for tables */
	uint32_t stop;	/* W: main; ends the thread of an attack */
	uint64_t random;
};

struct attack {
	const char *name;
	bool is_packed;
	void (*run)(struct victim *v);
};

/* xorshift: the same sequence in each run. */
static uint64_t
next_random(struct victim *v)
{
	v->random ^= v->random << 13;
	v->random ^= v->random >> 7;
	v->random ^= v->random << 17;
	return v->random;
}

static uint64_t
gpa_of(const struct victim *v, const void *p)
{
	return guest_gpa(&v->fe.guest, p);
}

/* ---- split rings ----------------------------------------------------------------------------- */

static struct vd *
tx_ring(struct victim *v)
{
	return &v->tx.ring->vd;
}

static void
set_desc(struct victim *v, unsigned int i, uint64_t addr, uint32_t len, unsigned int flags,
	unsigned int next)
{
	tx_ring(v)->desc.split[i] =
		(struct vd_split_desc){addr, len, (uint16_t)flags, (uint16_t)next};
}

/* A valid address and length. */
static void
good_desc(struct victim *v, unsigned int i, unsigned int flags, unsigned int next)
{
	set_desc(v, i, v->tx.gpa, 100, flags, next);
}

static void
offer(struct victim *v, unsigned int head)
{
	struct vd *d = tx_ring(v);

	UNM_WRITE_ONCE(d->avail.split->ring[d->avail_pos & (RING_SIZE - 1)], (uint16_t)head);
	d->avail_pos++;
	__atomic_store_n(&d->avail.split->idx, d->avail_pos, __ATOMIC_RELEASE);
	fe_kick(&v->fe, v->tx.ring);
}

static void
loop_of_two(struct victim *v)
{
	good_desc(v, 0, VD_DESC_NEXT, 1);
	good_desc(v, 1, VD_DESC_NEXT, 0);
	offer(v, 0);
}

static void
next_outside(struct victim *v)
{
	good_desc(v, 0, VD_DESC_NEXT, RING_SIZE);
	offer(v, 0);
}

static void
head_outside(struct victim *v)
{
	offer(v, RING_SIZE);
}

static void
past_region(struct victim *v)
{
	set_desc(v, 0, guest_top(&v->fe.guest) - 64, 4096, 0, 0);
	offer(v, 0);
}

static void
nowhere(struct victim *v)
{
	set_desc(v, 0, NOWHERE, 100, 0, 0);
	offer(v, 0);
}

static void
address_wraps(struct victim *v)
{
	set_desc(v, 0, UINT64_MAX - 15, 64, 0, 0);
	offer(v, 0);
}

static void
lengths_add_up(struct victim *v)
{
	unsigned int i;

	for (i = 0; i < 20; i++)
		set_desc(v, i, v->tx.gpa, UINT32_MAX, i < 19 ? VD_DESC_NEXT : 0, i + 1);
	offer(v, 0);
}

static void
index_jumps(struct victim *v)
{
	good_desc(v, 0, 0, 0);
	tx_ring(v)->avail_pos += 20000;
	offer(v, 0);
}

/* A table of @n entries at the spare page, each a valid descriptor with these flags, in a chain. */
static void
fill_table(struct victim *v, unsigned int n, unsigned int flags)
{
	struct vd_split_desc *t = (struct vd_split_desc *)v->spare;
	unsigned int i;

	for (i = 0; i < n; i++)
		t[i] = (struct vd_split_desc){v->tx.gpa, 64,
			(uint16_t)(flags | (i + 1 < n ? VD_DESC_NEXT : 0)), (uint16_t)(i + 1)};
}

static void
offer_table(struct victim *v, uint32_t len, unsigned int more_flags)
{
	set_desc(v, 0, gpa_of(v, v->spare), len, VD_DESC_INDIRECT | more_flags, 1);
	good_desc(v, 1, 0, 0);
	offer(v, 0);
}

static void
table_in_table(struct victim *v)
{
	fill_table(v, 2, VD_DESC_INDIRECT);
	offer_table(v, 32, 0);
}

static void
table_and_next(struct victim *v)
{
	fill_table(v, 2, 0);
	offer_table(v, 32, VD_DESC_NEXT);
}

static void
table_of_odd_size(struct victim *v)
{
	fill_table(v, 2, 0);
	offer_table(v, 17, 0);
}

static void
table_empty(struct victim *v)
{
	offer_table(v, 0, 0);
}

static void
table_huge(struct victim *v)
{
	fill_table(v, 2, 0);
	offer_table(v, 0xfffffff0u, 0);
}

static void
table_longer_than_ring(struct victim *v)
{
	fill_table(v, BUF_LEN, 0);
	offer_table(v, BUF_LEN * 16, 0);
}

static void
table_loop(struct victim *v)
{
	struct vd_split_desc *t = (struct vd_split_desc *)v->spare;

	fill_table(v, 2, 0);
	t[1].flags |= VD_DESC_NEXT;
	t[1].next = 0;
	offer_table(v, 32, 0);
}

static void
table_nowhere(struct victim *v)
{
	set_desc(v, 0, NOWHERE, 32, VD_DESC_INDIRECT, 0);
	offer(v, 0);
}

/* Whatever comes is to be written over the ring that it comes by. */
static void
receive_into_ring(struct victim *v)
{
	struct vd *d = &v->rx.ring->vd;
	unsigned int i;

	for (i = 0; i < RING_SIZE; i++)
		d->desc.split[i] =
			(struct vd_split_desc){gpa_of(v, v->rx.ring->mem), 8192, VD_DESC_WRITE, 0};
	fe_kick(&v->fe, v->rx.ring);
}

/* Receive buffers that may only be read. */
static void
receive_read_only(struct victim *v)
{
	unsigned int i;

	for (i = 0; i < RING_SIZE; i++)
		v->rx.ring->vd.desc.split[i].flags = 0;
	fe_kick(&v->fe, v->rx.ring);
}

static void
send_what_is_to_be_written(struct victim *v)
{
	good_desc(v, 0, VD_DESC_WRITE, 0);
	offer(v, 0);
}

/* ---- packed rings ---------------------------------------------------------------------------- */

static void
set_packed(struct victim *v, unsigned int i, uint64_t addr, uint32_t len, unsigned int flags)
{
	struct vd_packed_desc *d = &tx_ring(v)->desc.packed[i];

	d->addr = addr;
	d->len = len;
	d->id = (uint16_t)i;
	__atomic_store_n(&d->flags, (uint16_t)(flags | VD_DESC_AVAIL), __ATOMIC_RELEASE);
}

/* Every descriptor is available, and none ends the chain. */
static void
packed_endless(struct victim *v)
{
	unsigned int i;

	for (i = RING_SIZE; i-- > 0;)
		set_packed(v, i, v->tx.gpa, 64, VD_DESC_NEXT);
	fe_kick(&v->fe, v->tx.ring);
}

static void
packed_nowhere(struct victim *v)
{
	set_packed(v, 0, NOWHERE, 64, 0);
	fe_kick(&v->fe, v->tx.ring);
}

static void
packed_table_in_table(struct victim *v)
{
	fill_table(v, 2, VD_DESC_INDIRECT);
	((struct vd_packed_desc *)v->spare)[0].flags = VD_DESC_INDIRECT;
	((struct vd_packed_desc *)v->spare)[1].flags = VD_DESC_INDIRECT;
	set_packed(v, 0, gpa_of(v, v->spare), 32, VD_DESC_INDIRECT);
	fe_kick(&v->fe, v->tx.ring);
}

static void
packed_table_huge(struct victim *v)
{
	set_packed(v, 0, gpa_of(v, v->spare), 0xfffffff0u, VD_DESC_INDIRECT);
	fe_kick(&v->fe, v->tx.ring);
}

/* ---- while the server looks ------------------------------------------------------------------ */

static bool
goes_on(struct victim *v)
{
	return UNM_READ_ONCE(v->stop) == 0;
}

/* A batch of good frames, by tables of two entries if asked for; waits a while for the server. */
static void
send_batch(struct victim *v, bool by_tables)
{
	struct vd *d = tx_ring(v);
	unsigned int k, i;

	for (k = 0; k < ND_BATCH; k++) {
		struct vd_split_desc *t;

		i = d->avail_pos & (RING_SIZE - 1);
		t = d->table + (size_t)i * TABLE_LEN;
		t[0] = (struct vd_split_desc){v->tx.gpa, ND_HDR_LEN, VD_DESC_NEXT, 1};
		t[1] = (struct vd_split_desc){v->tx.gpa + ND_HDR_LEN, 100, 0, 0};
		if (by_tables)
			set_desc(v, i, gpa_of(v, t), 2 * sizeof(*t), VD_DESC_INDIRECT, 0);
		else
			good_desc(v, i, 0, 0);
		UNM_WRITE_ONCE(d->avail.split->ring[i], (uint16_t)i);
		d->avail_pos++;
	}
	__atomic_store_n(&d->avail.split->idx, d->avail_pos, __ATOMIC_RELEASE);
	fe_kick(&v->fe, v->tx.ring);
	for (k = 0; k < BATCH_MS && UNM_READ_ONCE(d->used.split->idx) != d->avail_pos; k++)
		poll(NULL, 0, 1);
}

/* Run @fn in a thread of its own while frames are sent. */
static void
against_traffic(struct victim *v, bool by_tables, void *(*fn)(void *))
{
	pthread_t thread;
	unsigned int i;

	if (pthread_create(&thread, NULL, fn, v) != 0)
		abort();
	for (i = 0; i < BATCHES; i++)
		send_batch(v, by_tables);
	UNM_WRITE_ONCE(v->stop, 1);
	pthread_join(thread, NULL);
}

static void *
flip_descriptors(void *arg)
{
	struct victim *v = arg;
	struct vd_split_desc *d = tx_ring(v)->desc.split;

	while (goes_on(v)) {
		const uint64_t r = next_random(v);
		struct vd_split_desc *e = &d[r % RING_SIZE];

		switch (r >> 32 & 3) {
		case 0:
			UNM_WRITE_ONCE(e->addr, r);
			break;
		case 1:
			UNM_WRITE_ONCE(e->len, (uint32_t)r);
			break;
		case 2:
			UNM_WRITE_ONCE(e->flags, (uint16_t)(r >> 40 & 7));
			break;
		default:
			UNM_WRITE_ONCE(e->next, (uint16_t)(r >> 40));
		}
	}
	return NULL;
}

static void
descriptors_change(struct victim *v)
{
	against_traffic(v, false, flip_descriptors);
}

static void *
flip_index(void *arg)
{
	struct victim *v = arg;

	while (goes_on(v))
		UNM_WRITE_ONCE(tx_ring(v)->avail.split->idx, (uint16_t)next_random(v));
	return NULL;
}

static void
index_changes(struct victim *v)
{
	against_traffic(v, false, flip_index);
}

static void *
flip_tables(void *arg)
{
	struct victim *v = arg;
	struct vd *d = tx_ring(v);
	const size_t words = (size_t)RING_SIZE * TABLE_LEN * sizeof(struct vd_split_desc) / 8;

	while (goes_on(v)) {
		const uint64_t r = next_random(v);

		UNM_WRITE_ONCE(((uint64_t *)d->table)[r % words], next_random(v));
	}
	return NULL;
}

static void
tables_change(struct victim *v)
{
	against_traffic(v, true, flip_tables);
}

/* Garbage over all of guest memory, the rings of both directions included, and kicks. */
static void
garbage(struct victim *v)
{
	uint64_t *word = (uint64_t *)v->fe.guest.base;
	const size_t n = v->fe.guest.size / sizeof(*word);
	const size_t n_rings = v->fe.mem_mark / sizeof(*word);
	unsigned int round;
	size_t i;

	for (round = 0; round < 40; round++) {
		for (i = 0; i < n / 16; i++)
			UNM_WRITE_ONCE(word[next_random(v) % n], next_random(v));
		for (i = 0; i < n_rings; i++)
			UNM_WRITE_ONCE(word[next_random(v) % n_rings], next_random(v));
		fe_kick(&v->fe, v->tx.ring);
		fe_kick(&v->fe, v->rx.ring);
	}
}

/* Small values where addresses, lengths and flags are: more of it looks valid. */
static void
plausible_garbage(struct victim *v)
{
	unsigned int round, i;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < RING_SIZE; i++) {
			const uint64_t r = next_random(v);

			set_desc(v, i, GUEST_GPA + r % MEM_SIZE, (uint32_t)(r >> 24) % 70000,
				(unsigned int)(r >> 50) & 7, (unsigned int)(r >> 40) % RING_SIZE);
		}
		offer(v, (unsigned int)next_random(v) % RING_SIZE);
	}
}

/* Virtio-net headers of any content before frames of any length. */
static void
bad_headers(struct victim *v)
{
	struct vd_used got[ND_BATCH];
	struct vd *d = tx_ring(v);
	unsigned int i, k;

	for (i = 0; i < 200; i++) {
		for (k = 0; k < ND_BATCH; k++) {
			uint64_t *p = (uint64_t *)(v->tx.buf + (size_t)k * v->tx.stride);
			const struct vd_seg seg = {v->tx.gpa + (uint64_t)k * v->tx.stride,
				(uint32_t)(next_random(v) % BUF_LEN)};

			p[0] = next_random(v) & 0xffffffffffff8307ull;
			p[1] = next_random(v);
			vd_add_singles(d, &seg, &(uint64_t){k}, 1, false);
		}
		vd_publish(d);
		fe_kick(&v->fe, v->tx.ring);
		poll(NULL, 0, 1);
		if (vd_get(d, got, ND_BATCH) < 0)
			break;
	}
}

/* ---- memory and descriptors of files --------------------------------------------------------- */

static void
memory_shrinks(struct victim *v)
{
	/* Our own mapping goes with it: nothing of the guest's memory is touched afterwards. */
	if (ftruncate(v->fe.guest.region[0].fd, 0) < 0)
		abort();
	fe_kick(&v->fe, v->tx.ring);
	fe_kick(&v->fe, v->rx.ring);
}

/* All regions go while frames come and rings run. */
static void
memory_removed(struct victim *v)
{
	const struct guest_region *r = &v->fe.guest.region[0];
	const struct wire_one_region one = {
		.region = {r->gpa, r->size, (uint64_t)(uintptr_t)r->base, 0}};

	loop_of_two(v);
	fe_request(&v->fe, WIRE_REM_MEM_REG, &one, sizeof(one), NULL, 0);
	fe_kick(&v->fe, v->tx.ring);
	fe_kick(&v->fe, v->rx.ring);
}

/* A call descriptor that nobody reads, filled to the brim, and blocking. */
static void
call_is_full(struct victim *v)
{
	const uint64_t ring[2] = {0, 1};
	int fd = eventfd(0, EFD_CLOEXEC);
	unsigned int i;

	if (fd < 0 || eventfd_write(fd, UINT64_MAX - 1) < 0)
		abort();
	for (i = 0; i < 2; i++)
		fe_request(&v->fe, WIRE_SET_VRING_CALL, &ring[i], sizeof(ring[i]), &fd, 1);
	for (i = 0; i < 20; i++) {
		good_desc(v, i, 0, 0);
		offer(v, i);
		poll(NULL, 0, 1);
	}
	close(fd);
}

/* Make an eventfd full, and blocking. */
static void
fill_and_block(int fd)
{
	eventfd_t value;
	unsigned int i;

	fcntl(fd, F_SETFL, O_NONBLOCK); /* or we wait ourselves */
	for (i = 0; i < 1000;
		i++) { /* a server that was blocked adds to it as soon as it is read */
		eventfd_read(fd, &value);
		if (eventfd_write(fd, UINT64_MAX - 1) == 0)
			break;
	}
	fcntl(fd, F_SETFL, 0);
}

/* The same, but made blocking only when the server no longer looks. */
static void
call_blocks(struct victim *v)
{
	const uint64_t ring[2] = {0, 1};
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pollfd noticed = {.fd = v->fe.sock, .events = POLLRDHUP};
	unsigned int i;

	if (fd < 0)
		abort();
	for (i = 0; i < 2; i++)
		fe_request(&v->fe, WIRE_SET_VRING_CALL, &ring[i], sizeof(ring[i]), &fd, 1);
	for (i = 0; i < 20; i++) {
		fill_and_block(fd);
		good_desc(v, i, 0, 0);
		offer(v, i);
		poll(NULL, 0, 1);
	}
	/* On a busy machine all calls may have met a descriptor that did not block just then. */
	for (i = 0; i < NOTICED_MS / 10 && poll(&noticed, 1, 10) == 0; i++) {
		good_desc(v, i % 20, 0, 0);
		offer(v, i % 20);
	}
	close(fd);
}

/* Blocking kicks that are gone again when the server comes to read them. */
static void
kick_blocks(struct victim *v)
{
	const int kick = v->tx.ring->kick, thief = dup(kick);
	struct pollfd p = {.fd = kick, .events = POLLIN};
	unsigned int i;
	eventfd_t value;

	for (i = 0; i < 3000; i++) {
		fcntl(kick, F_SETFL, 0);
		eventfd_write(kick, 1);
		sched_yield();
		if (poll(&p, 1, 0) > 0) {
			fcntl(kick, F_SETFL, O_NONBLOCK);
			eventfd_read(thief, &value);
		}
	}
	close(thief);
}

static void
kick_is_full(struct victim *v)
{
	eventfd_write(v->tx.ring->kick, UINT64_MAX - 1);
	eventfd_write(v->rx.ring->kick, UINT64_MAX - 1);
}

/* ---------------------------------------------------------------------------------------------- */

static const struct attack attacks[] = {
	{"loop", false, loop_of_two},
	{"next-outside", false, next_outside},
	{"head-outside", false, head_outside},
	{"past-region", false, past_region},
	{"nowhere", false, nowhere},
	{"address-wraps", false, address_wraps},
	{"lengths-add-up", false, lengths_add_up},
	{"index-jumps", false, index_jumps},
	{"table-in-table", false, table_in_table},
	{"table-and-next", false, table_and_next},
	{"table-of-odd-size", false, table_of_odd_size},
	{"table-empty", false, table_empty},
	{"table-huge", false, table_huge},
	{"table-longer-than-ring", false, table_longer_than_ring},
	{"table-loop", false, table_loop},
	{"table-nowhere", false, table_nowhere},
	{"receive-into-ring", false, receive_into_ring},
	{"receive-read-only", false, receive_read_only},
	{"send-writable", false, send_what_is_to_be_written},
	{"packed-endless", true, packed_endless},
	{"packed-nowhere", true, packed_nowhere},
	{"packed-table-in-table", true, packed_table_in_table},
	{"packed-table-huge", true, packed_table_huge},
	{"descriptors-change", false, descriptors_change},
	{"index-changes", false, index_changes},
	{"tables-change", false, tables_change},
	{"garbage", false, garbage},
	{"packed-garbage", true, garbage},
	{"plausible-garbage", false, plausible_garbage},
	{"bad-headers", false, bad_headers},
	{"packed-bad-headers", true, bad_headers},
	{"memory-shrinks", false, memory_shrinks},
	{"memory-removed", false, memory_removed},
	{"call-is-full", false, call_is_full},
	{"call-blocks", false, call_blocks},
	{"kick-blocks", false, kick_blocks},
	{"kick-is-full", false, kick_is_full},
};

#define N_ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

static const char help_text[] =
	"Usage: vm-hostile PATH ATTACK\n"
	"       vm-hostile --list\n"
	"Play a guest that attacks the vhost-user server at PATH. Prints a line of JSON.\n";

static const struct option longopts[] = {{"list", no_argument, NULL, 'l'}, {NULL, 0, NULL, 0}};

static const struct nmt_cli cli = {.prog = "vm-hostile",
	.help = help_text,
	.shortopts = "hl",
	.longopts = longopts,
	.h_is_help = true};

static void
begin(struct victim *v, const char *path, bool is_packed)
{
	const struct fe_config c = {.path = path,
		.features = FE_F_INDIRECT_DESC | FE_F_MRG_RXBUF | (is_packed ? FE_F_PACKED : 0),
		.protocol_features = WIRE_PF_MEM_SLOTS | WIRE_PF_STATUS | WIRE_PF_REPLY_ACK,
		.queue_size = RING_SIZE,
		.n_pairs = 1,
		.table_len = TABLE_LEN,
		.indirect_from = 2,
		.mem_size = MEM_SIZE,
		.n_regions = 1,
		.timeout_ms = CONNECT_MS};
	int ret = fe_open(&v->fe, &c);

	if (ret == 0)
		ret = fe_connect(&v->fe);
	if (ret == 0)
		ret = fe_fresh(&v->fe);
	if (ret == 0)
		ret = nd_init(&v->rx, &v->fe, 0, BUF_LEN, 0);
	if (ret == 0)
		ret = nd_init(&v->tx, &v->fe, 1, BUF_LEN, 0);
	v->spare = guest_alloc(&v->fe.guest, BUF_LEN * sizeof(struct vd_split_desc));
	if (ret == 0 && v->spare == NULL)
		ret = -ENOMEM;
	if (ret == 0)
		ret = nd_fresh(&v->rx);
	if (ret == 0)
		ret = fe_start(&v->fe);
	if (ret < 0)
		nmt_die(&cli, "%s: %s: %s", path, v->fe.error, strerror(-ret));
	v->fe.c.timeout_ms = REPLY_MS;
	v->random = 0x2545f4914f6cdd1dull;
}

static const char *
outcome(struct victim *v)
{
	struct pollfd p[3] = {{.fd = v->rx.ring->err, .events = POLLIN},
		{.fd = v->tx.ring->err, .events = POLLIN}, {.fd = v->fe.sock, .events = POLLRDHUP}};

	poll(p, 3, ATTACK_MS);
	if (fe_is_gone(&v->fe))
		return "closed";
	return ((p[0].revents | p[1].revents) & POLLIN) != 0 ? "broken" : "survived";
}

int
main(int argc, char **argv)
{
	static struct victim v;
	struct nmt_json j;
	size_t i;
	int opt;

	while ((opt = nmt_cli_next(&cli, argc, argv)) != -1) {
		for (i = 0; i < N_ATTACKS; i++)
			puts(attacks[i].name);
		return EXIT_SUCCESS;
	}
	if (argc - optind != 2)
		nmt_usage_error(&cli, "give the socket and the attack");
	for (i = 0; i < N_ATTACKS; i++)
		if (strcmp(attacks[i].name, argv[optind + 1]) == 0)
			break;
	if (i == N_ATTACKS)
		nmt_usage_error(&cli, "no attack '%s'", argv[optind + 1]);
	begin(&v, argv[optind], attacks[i].is_packed);
	attacks[i].run(&v);
	nmt_json_init(&j, stdout);
	nmt_json_begin_object(&j, NULL);
	nmt_json_str(&j, "attack", attacks[i].name);
	nmt_json_str(&j, "outcome", outcome(&v));
	nmt_json_end_object(&j);
	nmt_json_newline(&j);
	/* No fe_close(): the server must cope with a guest that just ends, too. */
	return EXIT_SUCCESS;
}
