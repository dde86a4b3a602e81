/* SPDX-License-Identifier: BSD-2-Clause */
/* See nic_rig.h. */
#include "nic_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int
memory(size_t size)
{
	const int fd = memfd_create("nic", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void
make_state(struct nic_rig *rig)
{
	const struct unm_nic_ring_ofs ofs = {
		.producer = 0, .consumer = 64, .flags = 128, .desc = 192};
	struct unm_nic_state *st;
	uint32_t i;

	rig->st_len = sizeof(*st) + N_BUFS;
	rig->fds[UNM_NIC_FD_STATE(1)] = memory(rig->st_len);
	st = mmap(NULL, rig->st_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		rig->fds[UNM_NIC_FD_STATE(1)], 0);
	assert_true(st != MAP_FAILED);
	st->setup = (struct unm_nic_setup){
		.magic = UNM_NIC_MAGIC,
		.version = UNM_NIC_VERSION,
		.size = rig->st_len,
		.mode = UNM_NIC_XDP_DRV,
		.n_queues = 1,
		.is_multi_buffer = 1,
		.lead = UNM_NIC_HEADROOM,
		.stride = BUF_SIZE,
		.n_window = WINDOW,
		.frame_room = BUF_SIZE,
		.n_bounce = N_BOUNCE,
		.tx_size = RING,
		.comp_size = RING,
		.rx_size = RING,
		.fill_size = RING,
		.rx_ofs = ofs,
		.tx_ofs = ofs,
		.fill_ofs = ofs,
		.comp_ofs = ofs,
		.is_unaligned = 1,
	};
	for (i = 0; i < N_BOUNCE; i++)
		st->bounce[0][i] = FIRST + POOL + i;
	rig->st = st;
}

/* Of the port's two rings each way the second one is the host's, and is not bound. */
static void
add_host_rings(struct nic_rig *rig, struct unm_bind_info *info)
{
	struct unm_seg_port *e = &rig->d->seg.ports[0];
	const int size = 4 * 1024 * 1024;
	int sv[2];

	e->n_host_tx_rings = e->n_host_rx_rings = 1;
	e->n_tx_rings = e->n_rx_rings = 1;
	info->tx_hi = info->rx_hi = 1;
	info->host_fd = rig->n_fds;
	info->n_host_fds = 1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	rig->fds[UNM_NIC_FD_SEGMENTS(1)] = sv[0];
	rig->wire = sv[1];
	rig->fds[rig->n_fds++] = dup(rig->fds[0]); /* the host rings' queue */
	rig->st->setup.joins_segments = 1;
}

static int
set_up(void **state, bool has_host_rings)
{
	const uint32_t n = has_host_rings ? 2 : 1;
	const struct fake_geometry g = {.kind = UNM_PORT_NIC, .n_tx = n, .n_rx = n, .slots = SLOTS};
	static struct nic_rig rig;
	struct unm_bind_info info;
	uint32_t i;

	memset(&rig, 0, sizeof(rig));
	rig.d = fake_domain_new(UNM_SEG_DOMAIN, N_BUFS, BUF_SIZE);
	fake_port_add(rig.d, &g);
	info = fake_bind_info(rig.d, 0, 0);
	rig.n_fds = unm_nic_n_fds(1, has_host_rings);
	rig.wire = -1;
	rig.fds[0] = memory((size_t)XDP_UMEM_PGOFF_COMPLETION_RING + 4096);
	make_state(&rig);
	rig.fds[UNM_NIC_FD_LINK(1)] = dup(rig.fds[0]);
	rig.fds[UNM_NIC_FD_MAP(1)] = dup(rig.fds[0]);
	assert_int_equal(unm_xsk_ring_map(&rig.rx, rig.fds[0], XDP_PGOFF_RX_RING,
				 &rig.st->setup.rx_ofs, RING, sizeof(struct xdp_desc)),
		0);
	assert_int_equal(unm_xsk_ring_map(&rig.tx, rig.fds[0], XDP_PGOFF_TX_RING,
				 &rig.st->setup.tx_ofs, RING, sizeof(struct xdp_desc)),
		0);
	assert_int_equal(unm_xsk_ring_map(&rig.fill, rig.fds[0], XDP_UMEM_PGOFF_FILL_RING,
				 &rig.st->setup.fill_ofs, RING, sizeof(uint64_t)),
		0);
	assert_int_equal(unm_xsk_ring_map(&rig.comp, rig.fds[0], XDP_UMEM_PGOFF_COMPLETION_RING,
				 &rig.st->setup.comp_ofs, RING, sizeof(uint64_t)),
		0);
	for (i = 0; i < POOL; i++) {
		*unm_xsk_addr(&rig.fill, i) = unm_nic_frame(UNM_NIC_HEADROOM, BUF_SIZE, FIRST + i);
		rig.st->owner[FIRST + i] = 1;
	}
	unm_xsk_produce(&rig.fill, POOL);
	rig.st->rxq[0].n_pool = POOL;
	if (has_host_rings)
		add_host_rings(&rig, &info);
	info.n_port_fds = rig.n_fds;
	rig.bp = fake_port_open_info(rig.d, &info, rig.fds);
	*state = &rig;
	return 0;
}

int
nic_rig_setup(void **state)
{
	return set_up(state, false);
}

int
nic_rig_setup_host(void **state)
{
	return set_up(state, true);
}

int
nic_rig_teardown(void **state)
{
	struct nic_rig *rig = *state;
	uint32_t i;

	unm_bport_close(rig->bp);
	unm_xsk_ring_unmap(&rig->rx);
	unm_xsk_ring_unmap(&rig->tx);
	unm_xsk_ring_unmap(&rig->fill);
	unm_xsk_ring_unmap(&rig->comp);
	munmap(rig->st, rig->st_len);
	for (i = 0; i < rig->n_fds; i++)
		close(rig->fds[i]);
	if (rig->wire >= 0)
		close(rig->wire);
	fake_domain_free(rig->d);
	return 0;
}

/* --- the application --- */

void
nic_rig_put(struct unm_bring *r, uint16_t len, uint16_t flags)
{
	struct netmap_ring *ring = r->ring;

	ring->slot[ring->head].len = len;
	ring->slot[ring->head].flags = flags;
	ring->head = ring->cur = ring->head + 1 == SLOTS ? 0 : ring->head + 1;
}

uint32_t
nic_rig_room(const struct unm_bring *r)
{
	return (r->ring->tail + SLOTS - r->ring->head) % SLOTS;
}

/* --- the kernel --- */

void
nic_rig_complete(struct nic_rig *rig, uint64_t addr)
{
	const uint32_t pos = *rig->comp.producer;

	*unm_xsk_addr(&rig->comp, pos) = addr;
	unm_xsk_produce(&rig->comp, pos + 1);
}
