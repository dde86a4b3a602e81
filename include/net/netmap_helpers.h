/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net/netmap_helpers.h - the nm_* functions, a small library without a library.
 *
 * Not for direct inclusion: define NETMAP_WITH_LIBS and include net/netmap_user.h. Modelled on
 * libpcap: nm_open(), nm_mmap() and nm_close() here, nm_inject(), nm_dispatch() and nm_nextpkt() in
 * net/netmap_helpers_fp.h. They speak the legacy request and need nothing but libc; new programs
 * are better served by libnetmap.h.
 *
 * All functions are static because programs in the wild expect to link nothing. They open
 * /dev/netmap like any file; our library, linked or preloaded, answers. What begins with nmh_ is
 * private to these two files.
 *
 * Threads: one port, one thread.
 */
#ifndef HAVE_NETMAP_WITH_LIBS
#define HAVE_NETMAP_WITH_LIBS

#include <stdio.h>
#include <sys/time.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <signal.h>
#include <stdlib.h>

/* A program uses some of these functions, never all of them. */
#define NM_HELPER static __attribute__((__unused__))

/* A program that brings its own ND should bring D too; if it does not, we still have words. */
#ifdef D
#define NM_COMPLAIN(...) D(__VA_ARGS__)
#else
#define NM_COMPLAIN(...) NM_PRINT_LINE(__VA_ARGS__, "")
#endif

struct nm_desc;

/**
 * struct nm_pkthdr - what nm_dispatch() and nm_nextpkt() say about a packet
 * @ts: time of the sync that brought it
 * @caplen: bytes that follow one another in memory
 * @len: bytes of all fragments
 * @flags: NM_MORE_PKTS
 * @d: where it came from
 * @slot: its first slot, which the callback may edit
 * @buf: its first byte
 */
struct nm_pkthdr {
	struct timeval ts;
	uint32_t caplen;
	uint32_t len;
	uint64_t flags;
#define NM_MORE_PKTS 1 /* another packet follows in the same nm_dispatch() */
	struct nm_desc *d;
	struct netmap_slot *slot;
	uint8_t *buf;
};

/* Counters in the shape of libpcap's; nothing here fills them. */
struct nm_stat {
	unsigned int ps_recv;
	unsigned int ps_drop;
	unsigned int ps_ifdrop;
};

#define NM_ERRBUF_SIZE 512

/**
 * struct nm_desc - an open port; made by nm_open(), ended by nm_close()
 * @self: this struct, so that a foreign pointer is recognised
 * @fd: bound descriptor of /dev/netmap
 * @mem: the region
 * @memsize: bytes of @mem
 * @done_mmap: @mem was mapped for this port, and goes away with it
 * @nifp: the struct netmap_if
 * @first_tx_ring: bound transmit rings, from here ...
 * @last_tx_ring: ... to here
 * @cur_tx_ring: where nm_inject() looks first
 * @first_rx_ring: bound receive rings, from here ...
 * @last_rx_ring: ... to here
 * @cur_rx_ring: where nm_dispatch() and nm_nextpkt() look first
 * @req: the request, with the results
 * @hdr: what the callback of nm_dispatch() is given
 * @some_ring: a bound ring
 * @buf_start: buffer 0
 * @buf_end: end of the region
 * @snaplen: for the use of libpcap, as all fields that follow
 */
struct nm_desc {
	struct nm_desc *self;
	int fd;
	void *mem;
	size_t memsize;
	int done_mmap;
	struct netmap_if *const nifp;
	uint16_t first_tx_ring, last_tx_ring, cur_tx_ring;
	uint16_t first_rx_ring, last_rx_ring, cur_rx_ring;
	struct nmreq req;
	struct nm_pkthdr hdr;

	struct netmap_ring *const some_ring;
	void *const buf_start;
	void *const buf_end;

	int snaplen;
	int promisc;
	int to_ms;
	char *errbuf;
	uint32_t if_flags;
	uint32_t if_reqcap;
	uint32_t if_curcap;
	struct nm_stat st;
	char msg[NM_ERRBUF_SIZE];
};

#define P2NMD(p)	  ((const struct nm_desc *)(p))
#define IS_NETMAP_DESC(d) ((d) != NULL && P2NMD(d)->self == P2NMD(d))
#define NETMAP_FD(d)	  (P2NMD(d)->fd)

/* Room for the message of nm_parse(). */
#define MAXERRMSG 80

/* Callback of nm_dispatch(), in the thread that calls it. */
typedef void (*nm_cb_t)(unsigned char *, const struct nm_pkthdr *, const unsigned char *d);

/* Flags of nm_open(), besides NETMAP_NO_TX_POLL and NETMAP_DO_RX_POLL. */
enum {
	NM_OPEN_NO_MMAP = 0x040000, /* do not map; without effect when there is an arg */
	NM_OPEN_IFNAME = 0x080000,  /* take name, ring id and flags from arg */
	NM_OPEN_ARG1 = 0x100000,    /* take nr_arg1 from arg */
	NM_OPEN_ARG2 = 0x200000,    /* take nr_arg2, the region, from arg */
	NM_OPEN_ARG3 = 0x400000,    /* take nr_arg3, the extra buffers, from arg */
	NM_OPEN_RING_CFG = 0x800000 /* take numbers of slots and rings from arg */
};

/* Longest number that follows a mode is below this. */
#define NM_MAX_RINGID 4095

/* Bounds of a name while nm_parse() takes it apart. */
struct nmh_parse_name {
	const char *begin;
	const char *end;
};

/** nmh_is_identifier() - only letters, digits and underscores from s to end? Empty: yes. */
NM_HELPER int
nmh_is_identifier(const char *s, const char *end)
{
	for (; s != end; s++) {
		if (!isalnum((unsigned char)*s) && *s != '_')
			return 0;
	}
	return 1;
}

/** nmh_fail() - put a message into err, if there is one; sets errno, returns -1 */
NM_HELPER int
nmh_fail(char *err, const char *what, const char *where)
{
	if (err != NULL)
		snprintf(err, MAXERRMSG, "%s: '%.24s'", what, where);
	errno = EINVAL;
	return -1;
}

/** nmh_parse_number() - decimal digits at *pos, at most max; none count as 0. Return: 0 or -1 */
NM_HELPER int
nmh_parse_number(const char **pos, unsigned long max, unsigned long *out)
{
	const char *p = *pos;
	unsigned long v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (unsigned long)(*p - '0');
		if (v > max)
			return -1;
	}
	*pos = p;
	*out = v;
	return 0;
}

/** nmh_parse_portname() - find the name in "netmap:name" or "valeX:name", check it, step over it */
NM_HELPER int
nmh_parse_portname(const char **pos, struct nmh_parse_name *name, char *err)
{
	const char *p = *pos, *begin = p, *colon = NULL;

	if (*p == 'v') {
		const size_t prefix = strlen(NM_BDG_NAME);

		if (strncmp(p, NM_BDG_NAME, prefix) != 0)
			return nmh_fail(err, "name must begin with netmap: or vale", p);
		colon = strchr(p, ':');
		if (colon == NULL || !nmh_is_identifier(p + prefix, colon))
			return nmh_fail(err, "want vale, letters and digits, then a colon", p);
		p = colon + 1;
	} else {
		if (strncmp(p, "netmap:", 7) != 0)
			return nmh_fail(err, "name must begin with netmap: or vale", p);
		p += 7;
		begin = p;
	}
	name->begin = begin;
	name->end = p + strcspn(p, "-*^{}/@");
	if (name->end == p)
		return nmh_fail(err, "no port name after the colon", *pos);
	if (colon != NULL && !nmh_is_identifier(p, name->end))
		return nmh_fail(err, "a VALE port name has letters, digits and _ only", p);
	/* Ports of switches have no host rings: this "^" is the name's, the host's side of an IF */
	if (colon != NULL && *name->end == '^' && strchr("/@", name->end[1]) != NULL)
		name->end++;
	if ((size_t)(name->end - begin) >= IFNAMSIZ)
		return nmh_fail(err, "name longer than 15 characters", begin);
	*pos = name->end;
	return 0;
}

/** nmh_parse_mode() - read "^", "*", "-N", "{N" or "}N"; without any, all rings but the host's */
NM_HELPER int
nmh_parse_mode(const char **pos, uint32_t *mode, unsigned long *ringid, char *err)
{
	const char *p = *pos;

	*ringid = 0;
	switch (*p) {
	case '^':
		*mode = NR_REG_SW;
		*pos = p + 1;
		return 0;
	case '*':
		*mode = NR_REG_NIC_SW;
		*pos = p + 1;
		return 0;
	case '-':
		*mode = NR_REG_ONE_NIC;
		break;
	case '{':
		*mode = NR_REG_PIPE_MASTER;
		break;
	case '}':
		*mode = NR_REG_PIPE_SLAVE;
		break;
	default:
		*mode = NR_REG_ALL_NIC;
		return 0;
	}
	p++;
	if (nmh_parse_number(&p, NM_MAX_RINGID - 1, ringid) < 0)
		return nmh_fail(err, "ring or pipe number above 4094", *pos);
	*pos = p;
	return 0;
}

/** nmh_parse_flags() - read the letters after "/" */
NM_HELPER int
nmh_parse_flags(const char **pos, uint32_t *flags, char *err)
{
	static const char letters[] = "xztrRT";
	static const uint32_t bits[] = {NR_EXCLUSIVE, NR_ZCOPY_MON, NR_MONITOR_TX, NR_MONITOR_RX,
		NR_RX_RINGS_ONLY, NR_TX_RINGS_ONLY};
	const char *p = *pos;

	for (; *p != '\0' && *p != '@'; p++) {
		const char *l = strchr(letters, *p);

		if (l == NULL)
			return nmh_fail(err, "unknown flag, want letters of xztrRT", p);
		*flags |= bits[l - letters];
	}
	if (p == *pos)
		return nmh_fail(err, "no flag after '/', want letters of xztrRT", p - 1);
	*pos = p;
	return 0;
}

/** nmh_parse_suffixes() - read "/flags" and "@region", each at most once, up to the end */
NM_HELPER int
nmh_parse_suffixes(const char *p, uint32_t *flags, uint16_t *mem_id, char *err)
{
	int seen_flags = 0;

	while (*p != '\0') {
		const char c = *p++;
		unsigned long id;

		if (c == '/' && !seen_flags) {
			seen_flags = 1;
			if (nmh_parse_flags(&p, flags, err) < 0)
				return -1;
		} else if (c == '@' && *mem_id == 0) {
			if (nmh_parse_number(&p, UINT16_MAX, &id) < 0 || id == 0)
				return nmh_fail(err, "want a region number, 1 to 65535", p);
			*mem_id = (uint16_t)id;
		} else {
			return nmh_fail(err, "did not expect", p - 1);
		}
	}
	return 0;
}

/**
 * nm_parse() - take a port name apart
 * @ifname: "netmap:NAME" or "valeX:NAME", a mode, "/flags", "@region"
 * @d: req gets the name; mode, flags and ring number are or-ed in; region if named
 * @err: room for MAXERRMSG bytes, for the message; may be NULL
 *
 * Return: 0, or -1 with errno EINVAL, a message in @err and @d as it was.
 */
NM_HELPER int
nm_parse(const char *ifname, struct nm_desc *d, char *err)
{
	struct nmh_parse_name name = {NULL, NULL};
	unsigned long ringid;
	uint32_t mode, flags = 0;
	uint16_t mem_id = 0;
	const char *p = ifname;
	size_t len;

	if (nmh_parse_portname(&p, &name, err) < 0)
		return -1;
	if (*p == '/' && p[-1] == '%') /* no flags, as it is for nmport_open() */
		return nmh_fail(err, "the path of a namespace takes nmport_open()", p);
	if (nmh_parse_mode(&p, &mode, &ringid, err) < 0 ||
		nmh_parse_suffixes(p, &flags, &mem_id, err) < 0)
		return -1;
	len = (size_t)(name.end - name.begin);
	memset(d->req.nr_name, 0, sizeof(d->req.nr_name));
	memcpy(d->req.nr_name, name.begin, len);
	d->req.nr_flags |= mode | flags;
	d->req.nr_ringid = (uint16_t)(d->req.nr_ringid | ringid);
	if (mem_id != 0)
		d->req.nr_arg2 = mem_id;
	return 0;
}

/** nmh_find_ring() - a ring that the binding has, or NULL; host entries are searched as well */
NM_HELPER struct netmap_ring *
nmh_find_ring(struct netmap_if *nifp)
{
	const uint32_t n = nifp->ni_tx_rings + nifp->ni_host_tx_rings + nifp->ni_rx_rings +
			   nifp->ni_host_rx_rings;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (nifp->ring_ofs[i] != 0)
			return NETMAP_TXRING(nifp, i);
	}
	return NULL;
}

/**
 * nm_mmap() - map the region of a port
 * @d: open port
 * @parent: port whose mapping is used if the region is the same; may be NULL. Must then be closed
 *	after @d
 *
 * Does nothing when @d is mapped already. Return: 0, or EINVAL (positive).
 */
NM_HELPER int
nm_mmap(struct nm_desc *d, const struct nm_desc *parent)
{
	struct netmap_if *nifp;
	struct netmap_ring *ring;
	void *mem;

	if (d->mem != NULL)
		return 0;
	if (IS_NETMAP_DESC(parent) && parent->mem != NULL &&
		parent->req.nr_arg2 == d->req.nr_arg2) {
		mem = parent->mem;
		d->memsize = parent->memsize;
	} else {
		d->memsize = d->req.nr_memsize;
		mem = mmap(NULL, d->memsize, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
		if (mem == MAP_FAILED)
			return EINVAL;
		d->done_mmap = 1;
	}
	d->mem = mem;
	nifp = NETMAP_IF(mem, d->req.nr_offset);
	*(struct netmap_if **)(uintptr_t)&d->nifp = nifp;
	ring = nmh_find_ring(nifp);
	if (ring == NULL) {
		errno = EINVAL;
		return EINVAL;
	}
	*(struct netmap_ring **)(uintptr_t)&d->some_ring = ring;
	*(void **)(uintptr_t)&d->buf_start = NETMAP_BUF(ring, 0);
	*(void **)(uintptr_t)&d->buf_end = (char *)mem + d->memsize;
	return 0;
}

/**
 * nm_close() - end a port
 * @d: from nm_open(); freed
 *
 * Return: 0, or EINVAL (positive) if @d is not an open port.
 */
NM_HELPER int
nm_close(struct nm_desc *d)
{
	if (!IS_NETMAP_DESC(d))
		return EINVAL;
	if (d->done_mmap && d->mem != NULL)
		munmap(d->mem, d->memsize);
	if (d->fd != -1)
		close(d->fd);
	/* A stale pointer then fails IS_NETMAP_DESC() as long as the memory is not used again. */
	memset((void *)d, 0, sizeof(*d));
	free(d);
	return 0;
}

/** nmh_open_inherit() - take over what the flags of nm_open() name from another port */
NM_HELPER void
nmh_open_inherit(struct nm_desc *d, uint64_t flags, const struct nm_desc *arg)
{
	const struct nmreq *from = &arg->req;

	d->req.nr_arg1 = 4;
	if (flags & NM_OPEN_ARG1) {
		NM_COMPLAIN("overriding ARG1 %d", from->nr_arg1);
		d->req.nr_arg1 = from->nr_arg1;
	}
	if (flags & NM_OPEN_ARG2) {
		NM_COMPLAIN("overriding ARG2 %d", from->nr_arg2);
		d->req.nr_arg2 = from->nr_arg2;
	}
	d->req.nr_arg3 = 0;
	if (flags & NM_OPEN_ARG3) {
		NM_COMPLAIN("overriding ARG3 %d", (int)from->nr_arg3);
		d->req.nr_arg3 = from->nr_arg3;
	}
	if (flags & NM_OPEN_RING_CFG) {
		NM_COMPLAIN("overriding RING_CFG");
		d->req.nr_tx_slots = from->nr_tx_slots;
		d->req.nr_rx_slots = from->nr_rx_slots;
		d->req.nr_tx_rings = from->nr_tx_rings;
		d->req.nr_rx_rings = from->nr_rx_rings;
	}
	if (flags & NM_OPEN_IFNAME) {
		NM_COMPLAIN("overriding ifname %s ringid 0x%x flags 0x%x", from->nr_name,
			from->nr_ringid, from->nr_flags);
		memcpy(d->req.nr_name, from->nr_name, sizeof(d->req.nr_name));
		d->req.nr_ringid = from->nr_ringid;
		d->req.nr_flags = from->nr_flags;
	}
}

/** nmh_open_rings() - set the intervals of bound rings from the answer to NIOCREGIF; 0 or -1 */
NM_HELPER int
nmh_open_rings(struct nm_desc *d)
{
	const uint16_t one = d->req.nr_ringid & NETMAP_RING_MASK;

	switch (d->req.nr_flags & NR_REG_MASK) {
	case NR_REG_ALL_NIC:
		d->last_tx_ring = (uint16_t)(d->req.nr_tx_rings - 1);
		d->last_rx_ring = (uint16_t)(d->req.nr_rx_rings - 1);
		break;
	case NR_REG_SW:
		d->first_tx_ring = d->last_tx_ring = d->req.nr_tx_rings;
		d->first_rx_ring = d->last_rx_ring = d->req.nr_rx_rings;
		break;
	case NR_REG_NIC_SW:
		d->last_tx_ring = d->req.nr_tx_rings;
		d->last_rx_ring = d->req.nr_rx_rings;
		break;
	case NR_REG_ONE_NIC:
		d->first_tx_ring = d->last_tx_ring = one;
		d->first_rx_ring = d->last_rx_ring = one;
		break;
	case NR_REG_PIPE_MASTER:
	case NR_REG_PIPE_SLAVE:
		break;
	default:
		return -1;
	}
	d->cur_tx_ring = d->first_tx_ring;
	d->cur_rx_ring = d->first_rx_ring;
	return 0;
}

/** nmh_open_bind() - open the device, register, map; a reason, or NULL. The caller cleans up */
NM_HELPER const char *
nmh_open_bind(struct nm_desc *d, uint64_t flags, const struct nm_desc *arg)
{
	d->fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	if (d->fd < 0)
		return "cannot open " NETMAP_DEVICE_NAME;
	if (ioctl(d->fd, NIOCREGIF, &d->req) != 0)
		return "NIOCREGIF failed";
	if (nmh_open_rings(d) < 0) {
		errno = EINVAL;
		return "unknown mode in nr_flags";
	}
	if ((flags & NM_OPEN_NO_MMAP) != 0 && arg == NULL)
		return NULL;
	if (nm_mmap(d, arg) != 0)
		return "cannot map the region";
	return NULL;
}

/**
 * nm_open() - open a port
 * @ifname: "netmap:NAME" or "valeX:NAME" with suffixes, see nm_parse()
 * @req: first values of the request, or NULL
 * @flags: NM_OPEN_*, NETMAP_NO_TX_POLL, NETMAP_DO_RX_POLL
 * @arg: an open port to take values from and share the mapping with, or NULL
 *
 * Return: the port, the caller's to end with nm_close(); or NULL with errno set. errno is 0 for a
 * name that does not begin with "netmap:" or "vale", so that a caller can try other back ends;
 * any other failure is also told on stderr.
 */
NM_HELPER struct nm_desc *
nm_open(const char *ifname, const struct nmreq *req, uint64_t flags, const struct nm_desc *arg)
{
	char msg[MAXERRMSG] = "";
	const char *reason = msg;
	struct nm_desc *d;
	int err;

	if (strncmp(ifname, "netmap:", 7) != 0 &&
		strncmp(ifname, NM_BDG_NAME, strlen(NM_BDG_NAME)) != 0) {
		errno = 0;
		return NULL;
	}
	d = (struct nm_desc *)calloc(1, sizeof(*d));
	if (d == NULL) {
		NM_COMPLAIN("no memory for %s", ifname);
		errno = ENOMEM;
		return NULL;
	}
	d->self = d;
	d->fd = -1;
	if (req != NULL)
		d->req = *req;
	if ((flags & NM_OPEN_IFNAME) == 0 && nm_parse(ifname, d, msg) < 0)
		goto fail;
	d->req.nr_version = NETMAP_API;
	if (IS_NETMAP_DESC(arg) && flags != 0)
		nmh_open_inherit(d, flags, arg);
	d->req.nr_ringid =
		(uint16_t)(d->req.nr_ringid | (flags & (NETMAP_NO_TX_POLL | NETMAP_DO_RX_POLL)));
	reason = nmh_open_bind(d, flags, arg);
	if (reason == NULL)
		return d;
fail:
	err = errno != 0 ? errno : EINVAL;
	NM_COMPLAIN("%s: %s (%s)", ifname, reason, strerror(err));
	nm_close(d);
	errno = err;
	return NULL;
}

#include <net/netmap_helpers_fp.h>

#endif /* HAVE_NETMAP_WITH_LIBS */
