/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rings.c - proves the inline functions and macros of the headers, and the packet functions
 * nm_inject(), nmport_inject(), nm_dispatch() and nm_nextpkt(), on rings in ordinary memory.
 */
#define NETMAP_WITH_LIBS
#include "test_ctx.h"
#include "fake_region.h"

#define BUF_SIZE 128

static struct fake_region region;
static struct nm_desc *desc;
static struct nmport_d port;

/* Two rings of eight slots in each direction and one host ring, all bound. */
static int
setup(void **state)
{
	static const struct fake_geometry geo = {2, 1, 2, 1, 8, BUF_SIZE};

	(void)state;
	fake_region_init(&region, &geo);
	desc = calloc(1, sizeof(*desc));
	if (desc == NULL)
		return -1;
	desc->self = desc;
	*(struct netmap_if **)(uintptr_t)&desc->nifp = region.nifp;
	desc->last_tx_ring = desc->last_rx_ring = 1;
	memset(&port, 0, sizeof(port));
	port.nifp = region.nifp;
	port.last_tx_ring = port.last_rx_ring = 1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(desc);
	fake_region_fini(&region);
	return 0;
}

/* ---- indices ---- */

static void
indices(void **state)
{
	static const struct {
		uint32_t head, tail;
		int empty;
		uint32_t space;
		int pending;
	} table[] = {
		{0, 7, 0, 7, 0}, /* fresh transmit ring: all sent */
		{0, 0, 1, 0, 1},
		{7, 7, 1, 0, 1},
		{3, 5, 0, 2, 1},
		{5, 3, 0, 6, 1},
		{7, 0, 0, 1, 1},
		{0, 1, 0, 1, 1},
		{7, 6, 0, 7, 0},
	};
	struct netmap_ring *ring = NETMAP_TXRING(region.nifp, 0);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake_ring_set(ring, table[i].head, table[i].tail, 0);
		assert_int_equal(nm_ring_empty(ring), table[i].empty);
		assert_int_equal(nm_ring_space(ring), table[i].space);
		assert_int_equal(nm_tx_pending(ring), table[i].pending);
	}
	for (i = 0; i < 8; i++)
		assert_int_equal(nm_ring_next(ring, (uint32_t)i), (i + 1) % 8);
}

/* ---- macros ---- */

static void
find_rings_and_buffers(void **state)
{
	struct netmap_if *nifp = NETMAP_IF(region.mem, FAKE_NIFP_OFS);
	struct netmap_ring *ring = NETMAP_RXRING(nifp, 1);
	char *first = NETMAP_BUF(ring, 0);

	(void)state;
	assert_ptr_equal(nifp, region.nifp);
	assert_ptr_equal(ring, (char *)nifp + nifp->ring_ofs[4]);
	assert_int_equal(ring->dir, 1);
	assert_int_equal(NETMAP_TXRING(nifp, 2)->dir, 0);
	assert_ptr_equal(NETMAP_BUF(ring, 5), first + 5 * BUF_SIZE);
	assert_int_equal(NETMAP_BUF_IDX(ring, first + 7 * BUF_SIZE), 7);
	/* Each ring counts from the same buffer 0. */
	assert_ptr_equal(NETMAP_BUF(NETMAP_TXRING(nifp, 0), 3), NETMAP_BUF(ring, 3));
	assert_ptr_equal(_NETMAP_OFFSET(char *, first, -3), first - 3);
}

static void
offsets_in_slots(void **state)
{
	struct netmap_ring *ring = NETMAP_TXRING(region.nifp, 0);
	struct netmap_slot *slot = &ring->slot[2];

	(void)state;
	slot->ptr = 0x1234567890abcdefULL;
	assert_int_equal(NETMAP_ROFFSET(ring, slot), 0);
	assert_ptr_equal(NETMAP_BUF_OFFSET(ring, slot), NETMAP_BUF(ring, slot->buf_idx));
	fake_ring_set(ring, 0, 7, 0xff);
	assert_int_equal(NETMAP_ROFFSET(ring, slot), 0xef);
	NETMAP_WOFFSET(ring, slot, 0x1242);
	assert_true(slot->ptr == 0x1234567890abcd42ULL);
	assert_ptr_equal(NETMAP_BUF_OFFSET(ring, slot), NETMAP_BUF(ring, slot->buf_idx) + 0x42);
	slot->flags = 0x1540;
	assert_int_equal(NS_RFRAGS(slot), 0x15);
}

static void
packet_copy(void **state)
{
	char src[300], dst[300];
	int len, i;

	(void)state;
	for (i = 0; i < 300; i++)
		src[i] = (char)(i + 1);
	for (len = -1; len <= 260; len++) {
		memset(dst, 0, sizeof(dst));
		nm_pkt_copy(src + 3, dst + 5, len);
		for (i = 0; i < 290; i++) {
			const char want = i >= 5 && i < 5 + len ? src[3 + i - 5] : 0;

			assert_int_equal(dst[i], want);
		}
	}
}

static void
csb_indices(void **state)
{
	struct nm_csb_atok atok;
	struct nm_csb_ktoa ktoa;
	uint32_t hwtail, hwcur;

	(void)state;
	memset(&atok, 0, sizeof(atok));
	memset(&ktoa, 0, sizeof(ktoa));
	nm_sync_kloop_appl_write(&atok, 7, 9);
	assert_int_equal(atok.cur, 7);
	assert_int_equal(atok.head, 9);
	ktoa.hwcur = 3;
	ktoa.hwtail = 4;
	nm_sync_kloop_appl_read(&ktoa, &hwtail, &hwcur);
	assert_int_equal(hwtail, 4);
	assert_int_equal(hwcur, 3);
}

/* ---- messages ---- */

/* Run fn with stderr going into a buffer; returns the bytes printed. */
static size_t
capture(void (*fn)(void), char *out, size_t size)
{
	FILE *tmp = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t len;

	assert_non_null(tmp);
	assert_int_not_equal(saved, -1);
	fflush(stderr);
	assert_int_equal(dup2(fileno(tmp), STDERR_FILENO), STDERR_FILENO);
	fn();
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(tmp);
	len = fread(out, 1, size - 1, tmp);
	out[len] = '\0';
	fclose(tmp);
	return len;
}

static int d_line;

static void
print_d(void)
{
	d_line = __LINE__ + 1;
	D("value %d of %s", 42, "x");
	D("bare");
}

static void
print_nd(void)
{
	int evaluated = 0;

	ND("nothing %d", evaluated++);
	assert_int_equal(evaluated, 0);
}

static time_t rd_second;

/* By the clock of the macro: time() may lag behind it by a tick. */
static time_t
second_now(void)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return now.tv_sec;
}

static void
print_rd(void)
{
	int i;

	rd_second = second_now();
	for (i = 0; i < 50; i++)
		RD(3, "line %d", i);
	RD(3, "another place");
}

static int
count_lines(const char *s)
{
	int n = 0;

	for (; *s != '\0'; s++)
		n += *s == '\n';
	return n;
}

static void
messages(void **state)
{
	char out[4096], func[32];
	int sec, usec, line, n, tries;

	(void)state;
	assert_int_not_equal(capture(print_d, out, sizeof(out)), 0);
	n = 0;
	assert_int_equal(
		sscanf(out, "%3d.%6d %31s [%d] value 42 of x\n%n", &sec, &usec, func, &line, &n),
		4);
	assert_in_range(sec, 0, 999);
	assert_in_range(usec, 0, 999999);
	assert_string_equal(func, "print_d");
	assert_int_equal(line, d_line);
	assert_int_equal(out[3], '.');
	assert_int_equal(out[10], ' ');
	assert_string_equal(strstr(out, "] bare"), "] bare\n");

	assert_int_equal(capture(print_nd, out, sizeof(out)), 0);

	/* Within one second each place gets its three lines; try until no second ends midway. */
	for (tries = 0; tries < 10; tries++) {
		capture(print_rd, out, sizeof(out));
		if (second_now() == rd_second)
			break;
		sleep(1); /* the limit of the place counts per second as well */
	}
	assert_true(tries < 10);
	assert_int_equal(count_lines(out), 4);
	assert_non_null(strstr(out, "line 2\n"));
	assert_null(strstr(out, "line 3\n"));
	assert_non_null(strstr(out, "another place\n"));
}

/* ---- transmit ---- */

static int
inject_by_desc(const void *buf, size_t size)
{
	return nm_inject(desc, buf, size);
}

static int
inject_by_port(const void *buf, size_t size)
{
	return nmport_inject(&port, buf, size);
}

/* Both functions are one contract. */
typedef int (*inject_fn)(const void *, size_t);

static const inject_fn injectors[] = {inject_by_desc, inject_by_port};

static void
set_tx_interval(uint16_t first, uint16_t last, uint16_t cur)
{
	desc->first_tx_ring = port.first_tx_ring = first;
	desc->last_tx_ring = port.last_tx_ring = last;
	desc->cur_tx_ring = port.cur_tx_ring = cur;
}

static uint16_t
cur_tx(inject_fn inject)
{
	return inject == inject_by_desc ? desc->cur_tx_ring : port.cur_tx_ring;
}

static void
fill(char *buf, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		buf[i] = (char)(i * 7 + 1);
}

/* Is the packet in the slots from index i on, in pieces that fill each buffer? */
static void
check_sent(struct netmap_ring *ring, uint32_t i, const char *buf, size_t size, size_t room)
{
	while (size > 0) {
		const struct netmap_slot *slot = &ring->slot[i];
		const size_t part = size < room ? size : room;

		assert_int_equal(slot->len, part);
		assert_int_equal(slot->flags & NS_MOREFRAG, size > part ? NS_MOREFRAG : 0);
		assert_memory_equal(NETMAP_BUF_OFFSET(ring, slot), buf, part);
		buf += part;
		size -= part;
		i = nm_ring_next(ring, i);
	}
	assert_int_equal(ring->head, i);
	assert_int_equal(ring->cur, i);
}

static void
inject_sizes(void **state)
{
	static const size_t sizes[] = {1, 60, BUF_SIZE - 1, BUF_SIZE, BUF_SIZE + 1, 2 * BUF_SIZE,
		7 * BUF_SIZE - 1, 7 * BUF_SIZE};
	struct netmap_ring *ring = NETMAP_TXRING(region.nifp, 0);
	char buf[8 * BUF_SIZE];
	size_t f, i;

	(void)state;
	fill(buf, sizeof(buf));
	for (f = 0; f < 2; f++) {
		set_tx_interval(0, 0, 0);
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			/* head 5: the packet goes round the end of the ring */
			fake_ring_set(ring, 5, 4, 0);
			assert_int_equal(injectors[f](buf, sizes[i]), sizes[i]);
			check_sent(ring, 5, buf, sizes[i], BUF_SIZE);
		}
		/* One byte more than the ring holds, and what makes no sense. */
		fake_ring_set(ring, 5, 4, 0);
		assert_int_equal(injectors[f](buf, 7 * BUF_SIZE + 1), 0);
		assert_int_equal(injectors[f](buf, 0), 0);
		assert_int_equal(injectors[f](buf, (size_t)INT32_MAX + 1), 0);
		assert_int_equal(ring->head, 5);
	}
}

static void
inject_rings(void **state)
{
	struct netmap_ring *r0 = NETMAP_TXRING(region.nifp, 0);
	struct netmap_ring *r1 = NETMAP_TXRING(region.nifp, 1);
	struct netmap_ring *host = NETMAP_TXRING(region.nifp, 2);
	char buf[2 * BUF_SIZE];
	size_t f;

	(void)state;
	fill(buf, sizeof(buf));
	for (f = 0; f < 2; f++) {
		set_tx_interval(0, 2, 1);
		fake_ring_set(r0, 0, 7, 0);
		fake_ring_set(r1, 0, 1, 0); /* one slot: too small for this packet */
		fake_ring_set(host, 0, 0, 0);
		assert_int_equal(injectors[f](buf, sizeof(buf)), sizeof(buf));
		assert_int_equal(cur_tx(injectors[f]), 0);
		check_sent(r0, 0, buf, sizeof(buf), BUF_SIZE);
		assert_int_equal(r1->head, 0);

		fake_ring_set(r0, 3, 3, 0); /* full: the next ring takes it */
		assert_int_equal(injectors[f](buf, BUF_SIZE), BUF_SIZE);
		assert_int_equal(cur_tx(injectors[f]), 1);
		check_sent(r1, 0, buf, BUF_SIZE, BUF_SIZE);

		fake_ring_set(r1, 3, 3, 0); /* all full */
		assert_int_equal(injectors[f](buf, 1), 0);
		assert_int_equal(cur_tx(injectors[f]), 1);
	}
}

static void
inject_skips_unbound_rings(void **state)
{
	struct netmap_ring *r1 = NETMAP_TXRING(region.nifp, 1);
	struct netmap_if before;
	size_t f;

	(void)state;
	fake_region_unbind(&region, 0);
	memcpy(&before, region.nifp, sizeof(before));
	for (f = 0; f < 2; f++) {
		set_tx_interval(0, 1, 0);
		fake_ring_set(r1, 0, 1, 0);
		assert_int_equal(injectors[f]("abc", 3), 3);
		assert_int_equal(r1->head, 1);
		assert_int_equal(injectors[f]("abc", 3), 0);
		/* The empty intervals that programs know. */
		fake_ring_set(r1, 0, 1, 0);
		set_tx_interval(2, 1, 2);
		assert_int_equal(injectors[f]("abc", 3), 0);
		set_tx_interval(0, UINT16_MAX, 0);
		assert_int_equal(injectors[f]("abc", 3), 0);
	}
	assert_memory_equal(&before, region.nifp, sizeof(before));
}

static void
inject_with_offsets(void **state)
{
	struct netmap_ring *ring = NETMAP_TXRING(region.nifp, 0);
	char buf[3 * BUF_SIZE];
	size_t f, i;

	(void)state;
	fill(buf, sizeof(buf));
	for (f = 0; f < 2; f++) {
		set_tx_interval(0, 0, 0);
		fake_ring_set(ring, 0, 7, 0xffff);
		for (i = 0; i < 8; i++)
			ring->slot[i].ptr = 28;
		assert_int_equal(injectors[f](buf, sizeof(buf)), sizeof(buf));
		check_sent(ring, 0, buf, sizeof(buf), BUF_SIZE - 28);
		/* 7 slots of 100 bytes are not enough for 701. */
		fake_ring_set(ring, 0, 7, 0xffff);
		assert_int_equal(injectors[f](buf, 701), 0);
		/* An offset beyond the buffer leaves no room, and harms nobody. */
		for (i = 0; i < 8; i++)
			ring->slot[i].ptr = 0xfff0;
		assert_int_equal(injectors[f](buf, 1), 0);
	}
}

static void
inject_keeps_buf_changed(void **state)
{
	struct netmap_ring *ring = NETMAP_TXRING(region.nifp, 0);

	(void)state;
	set_tx_interval(0, 0, 0);
	ring->slot[0].flags = NS_BUF_CHANGED | NS_INDIRECT | NS_MOREFRAG;
	ring->slot[1].flags = NS_REPORT;
	assert_int_equal(nm_inject(desc, "x", 1), 1);
	assert_int_equal(nm_inject(desc, "x", 1), 1);
	assert_int_equal(ring->slot[0].flags, NS_BUF_CHANGED);
	assert_int_equal(ring->slot[1].flags, 0);
}

/* ---- receive ---- */

#define MAX_SEEN 32

static struct {
	int n;
	char byte[MAX_SEEN];
	uint32_t len[MAX_SEEN];
	uint32_t caplen[MAX_SEEN];
	uint64_t flags[MAX_SEEN];
	uint32_t head[MAX_SEEN]; /* of the packet's ring, during the callback */
} seen;

static struct netmap_ring *
ring_of(const struct netmap_slot *slot)
{
	struct netmap_ring *ring;
	uint32_t i;

	for (i = 0; i < 3; i++) {
		ring = NETMAP_RXRING(region.nifp, i);
		if (slot >= ring->slot && slot < ring->slot + ring->num_slots)
			return ring;
	}
	fail_msg("the slot is of no receive ring");
	return NULL;
}

static void
on_packet(unsigned char *arg, const struct nm_pkthdr *h, const unsigned char *data)
{
	assert_string_equal((const char *)arg, "arg");
	assert_true(seen.n < MAX_SEEN);
	assert_ptr_equal(h, &desc->hdr);
	assert_ptr_equal(h->buf, data);
	seen.byte[seen.n] = (char)*data;
	seen.len[seen.n] = h->len;
	seen.caplen[seen.n] = h->caplen;
	seen.flags[seen.n] = h->flags;
	seen.head[seen.n] = ring_of(h->slot)->head;
	seen.n++;
}

static int
dispatch(int cnt)
{
	unsigned char arg[] = "arg";

	memset(&seen, 0, sizeof(seen));
	return nm_dispatch(desc, cnt, on_packet, arg);
}

static void
dispatch_counts(void **state)
{
	struct netmap_ring *ring = NETMAP_RXRING(region.nifp, 0);
	int i;

	(void)state;
	assert_int_equal(dispatch(0), 0);
	assert_int_equal(seen.n, 0);

	fake_ring_set(ring, 6, 6, 0); /* round the end */
	for (i = 0; i < 5; i++)
		fake_ring_receive(ring, (char)('a' + i), (uint16_t)(10 + i), 0);
	assert_int_equal(dispatch(2), 2);
	assert_int_equal(seen.n, 2);
	assert_memory_equal(seen.byte, "ab", 2);
	/* The last of a call has no more behind it, although the ring has. */
	assert_int_equal(seen.flags[0], NM_MORE_PKTS);
	assert_int_equal(seen.flags[1], 0);
	assert_int_equal(seen.len[0], 10);
	assert_int_equal(seen.caplen[1], 11);
	assert_int_equal(ring->head, 0);
	assert_int_equal(ring->cur, 0);

	assert_int_equal(dispatch(-1), 3);
	assert_memory_equal(seen.byte, "cde", 3);
	assert_int_equal(seen.flags[1], NM_MORE_PKTS);
	assert_int_equal(seen.flags[2], 0);
	assert_true(nm_ring_empty(ring));
	assert_int_equal(dispatch(7), 0);
}

/* Whoever broke the tail, the call ends and delivers nothing. */
static void
dispatch_with_a_broken_tail(void **state)
{
	struct netmap_ring *ring = NETMAP_RXRING(region.nifp, 0);
	struct netmap_ring *r1 = NETMAP_RXRING(region.nifp, 1);

	(void)state;
	ring->tail = 8;
	assert_int_equal(dispatch(0), 0);
	ring->tail = UINT32_MAX;
	fake_ring_receive(r1, 'b', 60, 0);
	assert_int_equal(dispatch(0), 1);
	assert_int_equal(ring->head, 0);
}

/* During a callback its packet is released, and the next one, found already, is not. */
static void
dispatch_releases_one_by_one(void **state)
{
	struct netmap_ring *ring = NETMAP_RXRING(region.nifp, 0);
	int i;

	(void)state;
	for (i = 0; i < 4; i++)
		fake_ring_receive(ring, 'x', 60, 0);
	assert_int_equal(dispatch(0), 4);
	for (i = 0; i < 4; i++)
		assert_int_equal(seen.head[i], i + 1);
}

static void
dispatch_rings(void **state)
{
	struct netmap_ring *r0 = NETMAP_RXRING(region.nifp, 0);
	struct netmap_ring *r1 = NETMAP_RXRING(region.nifp, 1);
	struct netmap_ring *host = NETMAP_RXRING(region.nifp, 2);

	(void)state;
	desc->last_rx_ring = 2;
	desc->cur_rx_ring = 1;
	r0->ts.tv_sec = 11;
	fake_ring_receive(r0, 'a', 60, 0);
	fake_ring_receive(r0, 'b', 60, 0);
	fake_ring_receive(r1, 'c', 60, 0);
	fake_ring_receive(host, 'd', 60, 0);
	/* From cur_rx_ring on, in a circle; more means any ring. */
	assert_int_equal(dispatch(0), 4);
	assert_memory_equal(seen.byte, "cdab", 4);
	assert_int_equal(seen.flags[0], NM_MORE_PKTS);
	assert_int_equal(seen.flags[2], NM_MORE_PKTS);
	assert_int_equal(seen.flags[3], 0);
	assert_int_equal(desc->cur_rx_ring, 0);
	assert_int_equal(desc->hdr.ts.tv_sec, 11);
	assert_ptr_equal(desc->hdr.d, desc);

	/* The next call goes on with the ring of the last packet. */
	fake_ring_receive(r0, 'e', 60, 0);
	fake_ring_receive(r1, 'f', 60, 0);
	assert_int_equal(dispatch(1), 1);
	assert_memory_equal(seen.byte, "e", 1);
	assert_int_equal(dispatch(0), 1);
	assert_memory_equal(seen.byte, "f", 1);
}

static void
dispatch_unbound_rings(void **state)
{
	struct netmap_ring *r1 = NETMAP_RXRING(region.nifp, 1);

	(void)state;
	fake_region_unbind(&region, 3); /* receive ring 0 */
	fake_ring_receive(r1, 'a', 60, 0);
	assert_int_equal(dispatch(0), 1);
	fake_ring_receive(r1, 'b', 60, 0);
	desc->first_rx_ring = 0;
	desc->last_rx_ring = UINT16_MAX; /* no ring at all */
	assert_int_equal(dispatch(0), 0);
	assert_null(nm_nextpkt(desc, &desc->hdr));
}

static void
dispatch_fragments(void **state)
{
	struct netmap_ring *ring = NETMAP_RXRING(region.nifp, 0);
	struct netmap_slot *slot;

	(void)state;
	/* Whole buffers, one behind the other: all 300 bytes can be read at buf. */
	fake_ring_receive(ring, 'a', BUF_SIZE, NS_MOREFRAG);
	fake_ring_receive(ring, 'b', BUF_SIZE, NS_MOREFRAG);
	fake_ring_receive(ring, 'c', 44, 0);
	/* The first piece does not reach the second. */
	fake_ring_receive(ring, 'd', 100, NS_MOREFRAG);
	fake_ring_receive(ring, 'e', 50, 0);
	assert_int_equal(dispatch(0), 2);
	assert_int_equal(seen.len[0], 300);
	assert_int_equal(seen.caplen[0], 300);
	assert_int_equal(seen.len[1], 150);
	assert_int_equal(seen.caplen[1], 100);
	assert_int_equal(seen.head[0], 3);
	assert_int_equal(ring->head, 5);

	/* A break is a break: what lies right behind a later piece does not count. */
	fake_ring_set(ring, 0, 0, 0);
	slot = fake_ring_receive(ring, 'a', BUF_SIZE, NS_MOREFRAG);
	slot->buf_idx = ring->slot[7].buf_idx;
	fake_ring_receive(ring, 'b', BUF_SIZE, NS_MOREFRAG);
	fake_ring_receive(ring, 'c', 10, 0);
	assert_int_equal(dispatch(0), 1);
	assert_int_equal(seen.caplen[0], BUF_SIZE);
	assert_int_equal(seen.len[0], 2 * BUF_SIZE + 10);

	/* A packet that does not end is delivered as far as it goes. */
	fake_ring_receive(ring, 'x', 20, NS_MOREFRAG);
	fake_ring_receive(ring, 'y', 30, NS_MOREFRAG);
	assert_int_equal(dispatch(0), 1);
	assert_int_equal(seen.len[0], 50);
	assert_true(nm_ring_empty(ring));
}

static void
dispatch_with_offsets(void **state)
{
	struct netmap_ring *ring = NETMAP_RXRING(region.nifp, 0);

	(void)state;
	fake_ring_set(ring, 0, 0, 0xff);
	ring->slot[0].ptr = 16;
	fake_ring_receive(ring, 'o', 60, 0);
	assert_int_equal(dispatch(0), 1);
	assert_int_equal(seen.byte[0], 'o');
	assert_ptr_equal(desc->hdr.buf, NETMAP_BUF(ring, ring->slot[0].buf_idx) + 16);
}

static void
next_packet(void **state)
{
	struct netmap_ring *r0 = NETMAP_RXRING(region.nifp, 0);
	struct netmap_ring *r1 = NETMAP_RXRING(region.nifp, 1);
	struct nm_pkthdr hdr;
	unsigned char *p;

	(void)state;
	assert_null(nm_nextpkt(desc, &hdr));
	desc->cur_rx_ring = 1;
	r1->ts.tv_usec = 77;
	fake_ring_receive(r0, 'a', 60, 0);
	fake_ring_receive(r1, 'b', BUF_SIZE, NS_MOREFRAG);
	fake_ring_receive(r1, 'c', 5, 0);

	memset(&hdr, 0xff, sizeof(hdr));
	p = nm_nextpkt(desc, &hdr);
	assert_non_null(p);
	assert_int_equal(*p, 'b');
	assert_ptr_equal(hdr.buf, p);
	assert_ptr_equal(hdr.slot, &r1->slot[0]);
	assert_ptr_equal(hdr.d, desc);
	assert_int_equal(hdr.len, BUF_SIZE);
	assert_int_equal(hdr.caplen, BUF_SIZE);
	assert_int_equal(hdr.ts.tv_usec, 77);
	assert_int_equal(hdr.flags, 0);
	assert_int_equal(r1->head, 1);
	assert_int_equal(r1->cur, 1);
	/* The next fragment is a packet of its own. */
	p = nm_nextpkt(desc, &hdr);
	assert_int_equal(*p, 'c');
	assert_int_equal(hdr.len, 5);
	p = nm_nextpkt(desc, &hdr);
	assert_int_equal(*p, 'a');
	assert_int_equal(desc->cur_rx_ring, 0);
	assert_null(nm_nextpkt(desc, &hdr));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(indices),
		TEST(find_rings_and_buffers),
		TEST(offsets_in_slots),
		TEST(packet_copy),
		TEST(csb_indices),
		TEST(messages),
		TEST(inject_sizes),
		TEST(inject_rings),
		TEST(inject_skips_unbound_rings),
		TEST(inject_with_offsets),
		TEST(inject_keeps_buf_changed),
		TEST(dispatch_counts),
		TEST(dispatch_with_a_broken_tail),
		TEST(dispatch_releases_one_by_one),
		TEST(dispatch_rings),
		TEST(dispatch_unbound_rings),
		TEST(dispatch_fragments),
		TEST(dispatch_with_offsets),
		TEST(next_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
