/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors: making, recognising, binding, handing back, ending. See desc.h. */
/* Syscalls: socketpair bind getpeername getsockopt dup */
#include "client/desc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "client/control_thread.h"
#include "client/csb.h"
#include "client/device.h"
#include "client/epoch.h"
#include "client/explain.h"
#include "client/epoll_set.h"
#include "client/process.h"
#include "client/queues.h"
#include "client/real.h"
#include "client/session.h"
#include "client/wake_cache.h"
#include "shm/desc_id.h"
#include "shm/proto.h"

#define NAME_LEN (sizeof(UNM_DESC_NAME_PREFIX) - 1 + UNM_DESC_ID_HEXLEN)

static struct unm_desc *descs;
static uint32_t n_descs;
static uint64_t last_serial;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the list */

static void
lock_list(struct unm_quiet *q)
{
	unm_quiet_begin(q);
	pthread_mutex_lock(&lock);
}

static void
unlock_list(const struct unm_quiet *q)
{
	pthread_mutex_unlock(&lock);
	unm_quiet_end(q);
}

/* Callbacks of the data path */

static uint32_t
env_slot(void)
{
	const uint32_t slot = UNM_READ_ONCE(unm_process_page->slot);

	return __builtin_expect(slot != 0, 1) ? slot : unm_session_slot();
}

static void
env_lock_stuck(const struct unm_seg *seg, uint32_t kring, uint32_t word)
{
	const struct unm_msg_lock_stuck msg = {seg->uid, kring, word};
	struct unm_call c = {.type = UNM_MSG_LOCK_STUCK,
		.flags = UNM_CALL_NOWAIT,
		.patience = UNM_PATIENCE_WAKE, /* what it says is not waited for */
		.body = &msg,
		.body_len = sizeof(msg)};

	if (unm_session_call(&c) == 0)
		unm_call_close_fds(&c, 0);
}

const struct unm_env unm_client_env = {
	.slot = env_slot,
	.region_get = unm_memory_region_get_uid,
	.region_put = unm_memory_region_put_view,
	.wake_fd = unm_wake_fd,
	.queues_get = unm_queues_get,
	.queues_put = unm_queues_put,
	.lock_stuck = env_lock_stuck,
};

/* Ending */

static void
free_binding(struct unm_binding *b)
{
	uint32_t i;

	if (b == NULL)
		return;
	unm_csb_free(b);
	unm_bport_close(b->bport);
	for (i = 0; i < b->info.n_port_fds; i++)
		unm_fd_internal_close(b->port_fds[i]);
	free(b->port_fds);
	unm_fd_internal_close(b->kick_fd);
	unm_fd_internal_close(b->event_fd);
	unm_memory_region_put(b->region);
	unm_memory_segment_put(b->seg);
	free(b);
}

static void
free_desc(void *arg)
{
	struct unm_desc *d = arg;

	free_binding(d->binding);
	unm_fd_internal_close(d->d);
	free(d);
}

static void
release_desc(struct unm_file *f)
{
	struct unm_desc *d = (struct unm_desc *)f, **p;
	struct unm_quiet quiet;

	lock_list(&quiet);
	for (p = &descs; *p != NULL; p = &(*p)->next)
		if (*p == d) {
			*p = d->next;
			n_descs--;
			break;
		}
	unlock_list(&quiet);
	unm_epoll_set_forget(d);
	unm_epoch_retire(free_desc, d);
	if (unm_epoch_pending())
		unm_control_kick();
}

/* Making */

static struct unm_desc *
new_desc(const uint8_t id[16], int c_fd, int d_fd)
{
	struct unm_desc *d = calloc(1, sizeof(*d));
	struct unm_quiet quiet;

	if (d == NULL)
		return NULL;
	d->file = (struct unm_file){UNM_FILE_DESC, 1, release_desc};
	memcpy(d->id, id, sizeof(d->id));
	d->cookie = unm_desc_cookie(c_fd);
	d->d = d_fd;
	lock_list(&quiet);
	d->next = descs;
	descs = d;
	n_descs++;
	unlock_list(&quiet);
	return d;
}

static void
id_to_name(const uint8_t id[16], struct sockaddr_un *sa, socklen_t *len)
{
	char *p = sa->sun_path + 1;
	size_t i;

	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	memcpy(p, UNM_DESC_NAME_PREFIX, sizeof(UNM_DESC_NAME_PREFIX) - 1);
	p += sizeof(UNM_DESC_NAME_PREFIX) - 1;
	for (i = 0; i < 16; i++)
		sprintf(p + 2 * i, "%02x", id[i]);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + NAME_LEN);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
unm_desc_id_of(int fd, uint8_t id[16])
{
	static const char prefix[] = UNM_DESC_NAME_PREFIX;
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);
	const int saved = errno;
	const char *hex;
	int i;

	if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0) {
		errno = saved;
		return false;
	}
	if (sa.sun_family != AF_UNIX ||
		len != offsetof(struct sockaddr_un, sun_path) + 1 + NAME_LEN ||
		sa.sun_path[0] != '\0' || memcmp(sa.sun_path + 1, prefix, sizeof(prefix) - 1) != 0)
		return false;
	hex = sa.sun_path + sizeof(prefix);
	for (i = 0; i < 16; i++) {
		const int hi = hex_digit(hex[2 * i]), lo = hex_digit(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		id[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* A connected pair whose far end carries the descriptor's name. */
static int
make_pair(int pair[2], uint8_t id[16], int flags)
{
	struct sockaddr_un sa;
	socklen_t len;
	int err;

	if (getrandom(id, 16, 0) != 16)
		return -EIO;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	id_to_name(id, &sa, &len);
	err = bind(pair[1], (const struct sockaddr *)&sa, len) < 0 ? -errno : 0;
	if (err == 0 && !(flags & O_CLOEXEC) && UNM_RAW_FCNTL(pair[0], F_SETFD, 0L) < 0)
		err = -errno;
	if (err == 0 && (flags & O_NONBLOCK) &&
		UNM_RAW_FCNTL(pair[0], F_SETFL, (long)(O_RDWR | O_NONBLOCK)) < 0)
		err = -errno;
	if (err == 0) {
		pair[1] = unm_fd_internal(pair[1]);
		err = pair[1] < 0 ? pair[1] : 0;
	} else {
		UNM_RAW_CLOSE(pair[1]);
	}
	if (err < 0)
		UNM_RAW_CLOSE(pair[0]);
	return err;
}

static int
open_desc(int flags)
{
	struct unm_msg_open msg = {0};
	struct unm_call c = {.type = UNM_MSG_OPEN, .body = &msg, .body_len = sizeof(msg)};
	struct unm_desc *d;
	int pair[2], fds[2], err;

	err = unm_process_init();
	if (err < 0)
		return err;
	if (unm_thread_get() == NULL)
		return -ENOMEM;
	unm_set_error("%s", "");
	err = make_pair(pair, msg.desc_id, flags);
	if (err < 0)
		return err;
	fds[0] = pair[1];
	fds[1] = pair[0];
	c.fds = fds;
	c.n_fds = 2;
	err = unm_session_call(&c);
	if (err == 0) {
		unm_call_close_fds(&c, 0);
		err = c.error;
	}
	d = err == 0 ? new_desc(msg.desc_id, pair[0], pair[1]) : NULL;
	if (d == NULL) {
		unm_fd_internal_close(pair[1]);
		UNM_RAW_CLOSE(pair[0]);
		return err < 0 ? err : -ENOMEM;
	}
	err = unm_fdtab_set(pair[0], &d->file);
	if (err < 0) {
		unm_file_put(&d->file);
		UNM_RAW_CLOSE(pair[0]);
		return err;
	}
	unm_control_start();
	return pair[0];
}

int
unm_desc_open(int flags)
{
	const int fd = open_desc(flags);

	unm_explain(fd);
	return fd;
}

/* Recognising */

static struct unm_desc *
find_by_id(const uint8_t id[16])
{
	struct unm_quiet quiet;
	struct unm_desc *d;

	lock_list(&quiet);
	for (d = descs; d != NULL; d = d->next)
		if (memcmp(d->id, id, 16) == 0 && unm_file_try_hold(&d->file))
			break;
	unlock_list(&quiet);
	return d;
}

/*
 * Ask netmapd about @id, with C or D as a @proof. Return: 0, -ENXIO it knows no such descriptor,
 * -errno. The descriptors are the caller's.
 */
static int
get_binding(const uint8_t id[16], int proof, struct unm_msg_get_binding *ans, struct unm_call *c)
{
	struct unm_msg_get_binding req = {0};
	int err;

	memcpy(req.desc_id, id, 16);
	*c = (struct unm_call){.type = UNM_MSG_GET_BINDING,
		.body = &req,
		.body_len = sizeof(req),
		.fds = &proof,
		.n_fds = 1,
		.ans = ans,
		.ans_size = sizeof(*ans)};
	memset(ans, 0, sizeof(*ans));
	err = unm_session_call(c);
	c->n_fds = 0;
	c->fds = NULL;
	if (err < 0)
		return err;
	if (!ans->is_open || c->n_ans_fds == 0 ||
		(ans->has_bind_info && c->n_ans_fds != UNM_BIND_FDS + ans->info.n_port_fds)) {
		unm_call_close_fds(c, 0);
		return c->error < 0 ? c->error : -ENXIO;
	}
	return 0;
}

bool
unm_desc_adopt(int fd)
{
	struct unm_msg_get_binding ans;
	struct unm_desc *d = NULL;
	const int saved = errno;
	struct unm_call c;
	uint8_t id[16];
	int d_fd;

	if (!unm_desc_id_of(fd, id) || unm_process_init() < 0 || !unm_process_is_ours())
		return false;
	d = find_by_id(id);
	if (d != NULL && __atomic_load_n(&d->n_closing, __ATOMIC_ACQUIRE) > 0) {
		unm_file_put(&d->file);
		return false;
	}
	if (d == NULL && get_binding(id, fd, &ans, &c) == 0) {
		d_fd = unm_fd_internal((int)UNM_RAW_FCNTL(c.ans_fds[0], F_DUPFD_CLOEXEC, 0L));
		d = d_fd < 0 ? NULL : new_desc(id, fd, d_fd);
		if (d == NULL) {
			unm_fd_internal_close(d_fd);
			unm_call_close_fds(&c, 0);
		} else if (ans.has_bind_info) {
			unm_desc_bind(d, &ans.info, c.ans_fds, c.n_ans_fds);
		} else {
			unm_call_close_fds(&c, 0);
		}
	}
	if (d != NULL && unm_fdtab_set(fd, &d->file) < 0) {
		unm_file_put(&d->file);
		d = NULL;
	}
	if (d != NULL)
		unm_control_start();
	errno = saved;
	return d != NULL;
}

int
unm_desc_close(int fd)
{
	struct unm_desc *d = unm_device_hold(fd);
	struct unm_file *f;
	int r, saved;

	if (d != NULL)
		__atomic_fetch_add(&d->n_closing, 1, __ATOMIC_ACQ_REL);
	f = unm_fdtab_take(fd);
	r = UNM_REAL(close)(fd);
	saved = errno;
	if (d != NULL) {
		__atomic_fetch_sub(&d->n_closing, 1, __ATOMIC_ACQ_REL);
		unm_file_put(&d->file);
	}
	if (f != NULL)
		unm_file_put(f);
	errno = saved;
	return r;
}

struct unm_binding *
unm_desc_find_binding(struct unm_desc *d)
{
	struct unm_msg_get_binding ans;
	struct unm_call c;

	if (unm_desc_binding(d) == NULL && get_binding(d->id, d->d, &ans, &c) == 0) {
		if (ans.has_bind_info)
			unm_desc_bind(d, &ans.info, c.ans_fds, c.n_ans_fds);
		else
			unm_call_close_fds(&c, 0);
	}
	return unm_desc_binding(d);
}

/* Binding */

/* The parts of a binding from netmapd's descriptors; those used are set to -1 in @fds. */
static int
fill_binding(struct unm_binding *b, int *fds)
{
	const bool is_isolated = b->info.kind == UNM_PORT_ISOLATED;
	uint32_t i;
	int err;

	if (is_isolated) {
		b->kick_fd = unm_fd_internal(fds[2]);
		fds[2] = -1;
		if (b->kick_fd < 0)
			return b->kick_fd;
	}
	err = unm_memory_region(&b->region, &b->info.region, fds[1], fds[2]);
	fds[1] = fds[2] = -1;
	if (err < 0)
		return err;
	err = unm_memory_segment(&b->seg, b->info.seg_uid, b->info.seg_size, fds[3]);
	fds[3] = -1;
	if (err < 0)
		return err;
	if (b->info.binding >= b->seg->seg.n_bindings)
		return -EPROTO;
	b->shared = &b->seg->seg.bindings[b->info.binding];
	b->event_fd = unm_fd_internal(fds[4]);
	fds[4] = -1;
	if (b->event_fd < 0)
		return b->event_fd;
	for (i = 0; i < b->info.n_port_fds; i++) {
		b->port_fds[i] = unm_fd_internal(fds[UNM_BIND_FDS + i]);
		fds[UNM_BIND_FDS + i] = -1;
		if (b->port_fds[i] < 0)
			return b->port_fds[i];
	}
	return unm_bport_open(&b->bport, &unm_client_env, &b->seg->seg, &b->region->region,
		&b->info, is_isolated ? &b->kick_fd : b->port_fds);
}

static struct unm_binding *
alloc_binding(const struct unm_bind_info *info)
{
	struct unm_binding *b = calloc(1, sizeof(*b));
	uint32_t i;

	if (b == NULL)
		return NULL;
	b->info = *info;
	b->event_fd = -1;
	b->kick_fd = -1;
	b->serial = __atomic_add_fetch(&last_serial, 1, __ATOMIC_RELAXED);
	b->port_fds = malloc((info->n_port_fds + 1) * sizeof(int));
	if (b->port_fds == NULL) {
		free(b);
		return NULL;
	}
	for (i = 0; i < info->n_port_fds; i++)
		b->port_fds[i] = -1;
	return b;
}

int
unm_desc_bind(struct unm_desc *d, const struct unm_bind_info *info, int *fds, unsigned int n_fds)
{
	struct unm_binding *b = NULL, *none = NULL;
	unsigned int i;
	int err = -EPROTO;

	if (n_fds == UNM_BIND_FDS + info->n_port_fds) {
		b = alloc_binding(info);
		err = b == NULL ? -ENOMEM : fill_binding(b, fds);
	}
	for (i = 0; i < n_fds; i++)
		if (fds[i] >= 0)
			UNM_RAW_CLOSE(fds[i]);
	if (err == 0 && __atomic_compare_exchange_n(
				&d->binding, &none, b, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return 0;
	free_binding(b);
	return err;
}

/* Handing back */

/*
 * netmapd has given our place away: nobody would wake us any more, so the application must learn
 * that its port is gone.
 */
static void
lose_binding(const struct unm_binding *b)
{
	const uint64_t one = 1;

	unm_bport_lose(b->bport);
	(void)!UNM_RAW_WRITE(b->event_fd, &one, sizeof(one)); /* full counter: it is awake anyway */
}

static void
lose_desc(struct unm_desc *d, void *arg)
{
	const struct unm_binding *b = unm_desc_binding(d);

	(void)arg;
	if (b != NULL)
		lose_binding(b);
}

void
unm_desc_lose_all(void)
{
	unm_desc_for_each(lose_desc, NULL);
}

static void
explain_loss(int err)
{
	if (err == -EEXIST)
		unm_set_error("this program's port is gone: it did not run while netmapd was "
			      "started again, and others "
			      "have made a port or switch of that name since");
	else if (err == -ESTALE)
		unm_set_error("this program's port is gone: it did not run while netmapd was "
			      "started again, and was not "
			      "waited for");
	else
		unm_set_error("netmapd did not take a descriptor back: %s", strerror(-err));
}

/* A number of C, or that of D if there is none: it is being closed. */
static int
find_c(const struct unm_desc *d)
{
	int fd = unm_fdtab_next(0, UNM_FDTAB_MAX - 1);

	while (fd >= 0 && (unm_fdtab_get(fd) != &d->file || unm_desc_cookie(fd) != d->cookie))
		fd = unm_fdtab_next(fd + 1, UNM_FDTAB_MAX - 1);
	return fd >= 0 ? fd : d->d;
}

static int
restore_one(struct unm_desc *d)
{
	struct unm_msg_restore msg = {0};
	struct unm_call c = {.type = UNM_MSG_RESTORE, .body = &msg, .body_len = sizeof(msg)};
	const struct unm_binding *b = unm_desc_binding(d);
	int fds[UNM_PROTO_MAXFDS], err;
	uint32_t i;

	fds[c.n_fds++] = d->d;
	if (b != NULL) {
		if (UNM_BIND_FDS + b->info.n_port_fds >= UNM_PROTO_MAXFDS)
			return 0;
		fds[c.n_fds++] = b->region->memfd;
		fds[c.n_fds++] = b->kick_fd >= 0 ? b->kick_fd : b->region->map_fd;
		fds[c.n_fds++] = b->seg->memfd;
		fds[c.n_fds++] = b->event_fd;
		for (i = 0; i < b->info.n_port_fds; i++)
			fds[c.n_fds++] = b->port_fds[i];
		msg.info = b->info;
		msg.registered = 1;
	}
	memcpy(msg.info.desc_id, d->id, sizeof(d->id));
	fds[c.n_fds++] = find_c(d);
	c.fds = fds;
	err = unm_session_call_locked(&c);
	if (err < 0)
		return err;
	unm_call_close_fds(&c, 0);
	if (c.error < 0)
		explain_loss(c.error);
	if (c.error < 0 && b != NULL)
		lose_binding(b);
	return 0;
}

int
unm_desc_restore_all(void)
{
	struct unm_desc **all, *d;
	struct unm_quiet quiet;
	uint32_t i, n = 0;
	int err = 0;

	lock_list(&quiet);
	all = calloc(n_descs + 1, sizeof(struct unm_desc *));
	for (d = descs; d != NULL && all != NULL; d = d->next)
		if (unm_file_try_hold(&d->file))
			all[n++] = d;
	unlock_list(&quiet);
	if (all == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (err == 0)
			err = restore_one(all[i]);
		unm_file_put(&all[i]->file);
	}
	free(all);
	return err;
}

void
unm_desc_for_each(void (*fn)(struct unm_desc *d, void *arg), void *arg)
{
	struct unm_quiet quiet;
	struct unm_desc *d;

	lock_list(&quiet);
	for (d = descs; d != NULL; d = d->next)
		fn(d, arg);
	unlock_list(&quiet);
}

/* Fork */

void
unm_desc_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void
unm_desc_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

void
unm_desc_after_fork(void)
{
	struct unm_desc *d;

	pthread_mutex_init(&lock, NULL);
	for (d = descs; d != NULL; d = d->next) {
		struct unm_binding *b = unm_desc_binding(d);

		if (b != NULL)
			unm_bport_after_fork(b->bport);
		d->ready_armed = 0;
	}
}
