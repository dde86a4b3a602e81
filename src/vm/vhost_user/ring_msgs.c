/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages about one ring. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/event_fd.h"
#include "vm/vhost_user/backend_priv.h"
#include "vm/vhost_user/socket_fd.h"

static int
check_index(struct unm_vu_backend *b, uint64_t idx)
{
	if (idx >= b->ops->n_rings)
		return vu_fail(b, -EINVAL, "ring %llu, there are %u", (unsigned long long)idx,
			b->ops->n_rings);
	return 0;
}

static int
check_stopped(struct unm_vu_backend *b, uint32_t idx)
{
	const int err = check_index(b, idx);

	if (err < 0)
		return err;
	if (b->ring[idx].is_started)
		return vu_fail(b, -EBUSY, "ring %u is running", idx);
	return 0;
}

int
vu_set_vring_num(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const struct unm_vu_ring_state *s = &m->payload.state;
	const int err = check_stopped(b, s->index);

	if (err < 0)
		return err;
	if (s->num == 0 || s->num > UNM_VQ_MAX_SIZE)
		return vu_fail(b, -EINVAL, "ring %u of size %u, must be 1 to %u", s->index, s->num,
			UNM_VQ_MAX_SIZE);
	b->ring[s->index].num = s->num;
	return vu_ring_try_start(b, s->index);
}

int
vu_set_vring_addr(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const uint32_t idx = m->payload.addr.index;
	const int err = check_index(b, idx);

	if (err < 0)
		return err;
	/* On a running ring this turns the dirty log on or off. */
	vu_ring_halt(b, idx);
	b->ring[idx].addr = m->payload.addr;
	b->ring[idx].has_addr = true;
	return vu_ring_try_start(b, idx);
}

int
vu_set_vring_base(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const struct unm_vu_ring_state *s = &m->payload.state;
	const int err = check_stopped(b, s->index);

	if (err < 0)
		return err;
	b->ring[s->index].base = s->num;
	b->ring[s->index].has_base = true;
	b->ring[s->index].goes_on = false;
	return 0;
}

int
vu_get_vring_base(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	struct unm_vu_ring_state s = m->payload.state;
	const int err = check_index(b, s.index);
	bool was_started;
	int ret;

	if (err < 0)
		return err;
	was_started = b->ring[s.index].is_started;
	vu_ring_stop(b, s.index);
	s.num = b->ring[s.index].base;
	ret = vu_reply(b, &s, sizeof(s), -1);
	if (ret == VU_REPLIED && was_started)
		vu_ring_told(b, s.index); /* not before: whoever dies in between leaves the place */
	return ret;
}

/*
 * Kinds of descriptors to sleep on and to signal: an eventfd, or an end of a pipe; to signal only,
 * one of a socket pair too (what User-Mode Linux calls a pipe). Others could make us spin (a file
 * is always readable) or wait. Return: NULL, or what is wrong with it.
 */
static const char *
check_signal_fd(int fd, bool to_read, struct unm_closer_queue *q)
{
	static const char no_signal[] =
		"the descriptor is nothing to signal by: an eventfd or a pipe is needed";
	const int mode = fcntl(fd, F_GETFL);
	bool is_good;

	switch (unm_fd_kind(fd)) {
	case UNM_FD_EVENT:
		return NULL;
	case UNM_FD_PIPE:
		is_good =
			mode >= 0 && ((mode & O_ACCMODE) == O_RDWR ||
					     (mode & O_ACCMODE) == (to_read ? O_RDONLY : O_WRONLY));
		return is_good ? NULL : no_signal;
	case UNM_FD_SOCKET:
		return to_read ? no_signal : unm_vu_socket_check(fd, q);
	default:
		return no_signal;
	}
}

/* The ring and the descriptor (-1: none, on purpose) of a KICK, CALL or ERR. */
static int
take_signal_fd(struct unm_vu_backend *b, struct unm_vu_msg *m, bool to_read, uint32_t *idx, int *fd)
{
	const uint64_t val = m->payload.u64;
	const bool has_none = (val & UNM_VU_NO_FD) != 0;
	const char *why;
	int err, flags;

	if ((val & ~(UNM_VU_RING_MASK | UNM_VU_NO_FD)) != 0)
		return vu_fail(b, -EINVAL, "unknown bits in 0x%llx", (unsigned long long)val);
	err = check_index(b, val & UNM_VU_RING_MASK);
	if (err < 0)
		return err;
	if (has_none != (m->n_fds == 0))
		return vu_fail(b, -EINVAL, "%u descriptors, and the flag for none is %s", m->n_fds,
			has_none ? "set" : "not set");
	*idx = (uint32_t)(val & UNM_VU_RING_MASK);
	*fd = -1;
	if (has_none)
		return 0;
	why = check_signal_fd(m->fd[0], to_read, b->conn.closing);
	if (why != NULL)
		return vu_fail(b, -EINVAL, "%s", why);
	flags = fcntl(m->fd[0], F_GETFL);
	if (flags < 0 || fcntl(m->fd[0], F_SETFL, flags | O_NONBLOCK) != 0)
		return vu_fail(b, -errno, "the descriptor can't be made nonblocking");
	err = to_read && unm_fd_kind(m->fd[0]) == UNM_FD_EVENT ? unm_event_is_semaphore(m->fd[0])
							       : 0;
	if (err < 0)
		unm_guest_guard_block(&b->guard);
	if (err != 0)
		return vu_fail(b, -EINVAL,
			"the descriptor is no eventfd to sleep on: a read must take all that was "
			"signalled (no EFD_SEMAPHORE)");
	*fd = unm_vu_msg_take_fd(m, 0);
	return 0;
}

static void
replace_fd(int *old, int fd)
{
	if (*old >= 0)
		close(*old);
	*old = fd;
}

int
vu_set_vring_kick(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	uint32_t idx;
	int fd, err;

	err = take_signal_fd(b, m, true, &idx, &fd);
	if (err < 0)
		return err;
	vu_ring_halt(b, idx);
	replace_fd(&b->ring[idx].kick_fd, fd);
	b->ring[idx].has_kick = true;
	err = vu_ring_try_start(b, idx);
	if (err < 0)
		b->ring[idx].has_kick = false;
	return err;
}

int
vu_set_vring_call(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	uint32_t idx;
	int fd;
	const int err = take_signal_fd(b, m, false, &idx, &fd);

	if (err < 0)
		return err;
	unm_vq_set_call_fd(b->ring[idx].q, fd);
	replace_fd(&b->ring[idx].call_fd, fd);
	/* Whoever swapped the descriptor may have missed a signal on the old one. */
	if (b->ring[idx].is_started && fd >= 0)
		unm_vq_call(b->ring[idx].q);
	return 0;
}

int
vu_set_vring_err(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	uint32_t idx;
	int fd;
	const int err = take_signal_fd(b, m, false, &idx, &fd);

	if (err < 0)
		return err;
	unm_vq_set_err_fd(b->ring[idx].q, fd);
	replace_fd(&b->ring[idx].err_fd, fd);
	return 0;
}

/* The driver may have gone. */
static void
reset_if_none_is_enabled(struct unm_vu_backend *b)
{
	unsigned int i;

	for (i = 0; i < b->ops->n_rings; i++)
		if (b->ring[i].is_enabled)
			return;
	vu_halt_all(b); /* those that began before it was known that they rest */
	vu_update_driver_ok(b);
	b->ops->reset(b->dev);
}

int
vu_set_vring_enable(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const struct unm_vu_ring_state *s = &m->payload.state;
	const int err = check_index(b, s->index);

	if (err < 0)
		return err;
	if (s->num > 1)
		return vu_fail(b, -EINVAL, "ring %u: %u is neither 0 nor 1", s->index, s->num);
	vu_ring_set_enabled(b, s->index, s->num == 1);
	if (!vu_ring_rests(b))
		return 0;
	if (s->num == 1)
		return vu_ring_try_start(b, s->index);
	vu_ring_halt(b, s->index);
	reset_if_none_is_enabled(b);
	return 0;
}
