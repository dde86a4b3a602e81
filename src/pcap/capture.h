/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A netmap port as a source of captured frames: what the libpcap of this project, the flight
 * recorder and the extcap helper have in common.
 *
 *   unm_cap_sync()     what has arrived shows up in the rings; one time stamp for all of it
 *   unm_cap_batch()    frames, in place; until unm_cap_release() their slots stay ours
 *   unm_cap_release()  the slots go back with the next sync or poll
 *   unm_cap_wait()     sleep until there is more
 *
 * How a port is opened follows from its name and from whether somebody uses it:
 *
 *   name has /r, /t or /rt    a monitor, or failure
 *   the port is open          a monitor: a copy of what it receives and sends
 *   else                      the port itself, exclusively: it is made if need be, and what is sent
 *                             to it ends here
 *
 * A frame of several slots is put together in private memory; virtio-net headers are left out.
 *
 * Threads: one at a time for each struct unm_cap; different ones are independent.
 */
#ifndef UNM_PCAP_CAPTURE_H
#define UNM_PCAP_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#define UNM_CAP_BATCH	  64	/* frames; see capture_fp.c */
#define UNM_CAP_MAX_SLOTS 65536 /* of a port's receive rings together; netmapd's limit */
#define UNM_CAP_WHY_SIZE  256	/* PCAP_ERRBUF_SIZE: the sentence has to fit there */

struct unm_cap;

struct unm_cap_opts {
	const char *name;
	uint32_t
		n_slots; /* of each receive ring, a wish; 0: as many as memory and the port allow */
	uint32_t
		most_slots; /* of all rings, bounds that, for who captures from many ports; 0: no bound */
	bool monitor_only; /* as if the name had /rt: never open the port itself */
};

struct unm_cap_frame {
	const uint8_t *data; /* len bytes, valid until unm_cap_release() */
	uint32_t len;
	uint16_t ring;	/* which of the port's */
	bool is_tx;	/* seen on its way out of the monitored port */
	uint32_t first; /* its first slot; for unm_cap_rewind() */
};

struct unm_cap_counters {
	uint64_t frames;  /* handed out */
	uint64_t bytes;	  /* in them */
	uint64_t missed;  /* lost for want of room in our rings, since the start */
	uint64_t invalid; /* slots that made no sense */
};

/** unm_cap_is_name() - a netmap port's name? No kernel interface can have such a one. */
bool unm_cap_is_name(const char *name);

/**
 * unm_cap_open() - open a port to capture from it
 * @out: written on success; ended with unm_cap_close()
 * @why: UNM_CAP_WHY_SIZE bytes; on failure a sentence that names the port and says what to do
 *
 * Blocks while netmapd is asked. Return: 0, -EINVAL bad name, -EBUSY in use and not to be
 * monitored, -ENXIO no such interface, -EACCES, -EPERM, -ENOMEM, or what the request gave.
 */
int unm_cap_open(struct unm_cap **out, const struct unm_cap_opts *opts, char *why);
void unm_cap_close(struct unm_cap *c);

/* The bound descriptor: for poll(2) and the like, as far as libnetmap sees them. */
int unm_cap_fd(const struct unm_cap *c);

bool unm_cap_is_monitor(const struct unm_cap *c);

/* Bytes of rings and buffers that hold what has not been read yet. */
uint32_t unm_cap_buffer_size(const struct unm_cap *c);

/* Slots of all rings together: an upper bound of what one sync can bring. */
uint32_t unm_cap_n_slots(const struct unm_cap *c);

/**
 * unm_cap_sync() - NIOCRXSYNC, and look at the clock
 *
 * Does not block. Return: 0, also while there is something left to hand out; -ENETDOWN the port's
 * interface is down, and may come back; -EIO the port has gone.
 */
int unm_cap_sync(struct unm_cap *c);

/* CLOCK_REALTIME in ns at the last sync: the time of every frame handed out since. */
uint64_t unm_cap_time_ns(const struct unm_cap *c);

/**
 * unm_cap_batch() - the next frames, of one ring, in order
 * @f: room for @max
 *
 * Return: how many; 0 when all that the last sync brought has been handed out.
 */
uint32_t unm_cap_batch(struct unm_cap *c, struct unm_cap_frame *f, uint32_t max);

/* Hand out the last @n frames of the last batch, of which @f is the first, once more. */
void unm_cap_rewind(struct unm_cap *c, const struct unm_cap_frame *f, uint32_t n);

/* Frames handed out so far are done with. */
void unm_cap_release(struct unm_cap *c);

/**
 * unm_cap_wait() - sleep until a frame has arrived
 * @timeout_ms: as for poll(2)
 * @wake_fd: end it too when this is readable; -1 for none
 *
 * Return: 1 there may be frames; 2 @wake_fd is readable; 0 the time is over; -EINTR; -EIO the port
 * has gone. An interface that is down is waited for.
 */
int unm_cap_wait(struct unm_cap *c, int timeout_ms, int wake_fd);

/**
 * unm_cap_nap() - look away for a while (pace.h): sleep, whatever arrives
 * @ns: below a second
 * @wake_fd: end it when this is readable; -1 for none
 *
 * The library, seeing a sleep on the port's descriptor, does not take it for one that passed it by
 * (client/fdready.h), which would have senders wake us all the same.
 */
void unm_cap_nap(struct unm_cap *c, uint32_t ns, int wake_fd);

/**
 * unm_cap_send() - send a frame from the port
 * @len: bytes, without any virtio-net header
 *
 * Return: 0; -EOPNOTSUPP a monitor can't; -EMSGSIZE, -EINVAL too long or too short for Ethernet;
 * -EAGAIN no room now (call unm_cap_wait_room()); -ENXIO, -EIO the port has gone.
 */
int unm_cap_send(struct unm_cap *c, const void *frame, uint32_t len);

/* Sleep until there is room to send. Return: as unm_cap_wait(). */
int unm_cap_wait_room(struct unm_cap *c, int timeout_ms);

void unm_cap_get_counters(const struct unm_cap *c, struct unm_cap_counters *out);

#endif
